internal import Base

/// What messages of the Model Context Protocol are bounded by, beside `Limits`.
public enum MCPLimits {
    /// Bytes of the id of a request: it goes back with the answer.
    public static let idBytes = 256
    /// Bytes of a method and of a revision that a client names.
    public static let wordBytes = 128
    /// Messages of a batch (revision 2025-03-26 alone has them): each is a request of its own.
    public static let batchItems = 32
    /// Levels that a message has around the data that is published with it: message, `params`, `arguments`.
    public static let envelopeLevels = 3
    /// Bytes of one message on standard input: the largest body, and what is around it.
    public static let lineBytes = Limits.bodyBytes + (64 << 10)

    /// From which similarity on a question's matches are shown.
    public static let threshold = 0.2
    /// cl100k tokens of the answer to a question, when it does not say, at least and at most.
    public static let budgetTokens = 2_000
    public static let budgetTokensBounds = 100...32_000
    /// Matches that an answer tells of.
    public static let matches = 12
    /// Bytes of the line that stands for a match without its data.
    public static let briefBytes = 160
    /// cl100k tokens of data that is asked for by its key; more is asked for in parts.
    public static let dataTokens = 25_000
    /// cl100k tokens of a page of updates, and updates of one.
    public static let updateTokens = 8_000
    public static let updates = 25
    /// Events that "what changed since" lists.
    public static let changes = 100
    /// Projects that are listed.
    public static let projects = 200
    /// Seconds that a call waits for updates when it does not say.
    public static let waitSeconds = 25

    /// Resources of a page, and bytes of one that is read as a whole.
    public static let resourcesPage = 100
    public static let resourceBytes = Limits.answerBytes
    /// Bytes of the address of a resource: two names, percent-encoded.
    public static let addressBytes = 8 << 10
    /// Suggestions of a completion, as the protocol has it, and keys that one looks through.
    public static let suggestions = 100
    public static let suggestionKeys = 10_000
    /// Addresses that one subscription names, and projects that they are of: each is read by itself.
    public static let subscribedResources = 256
    public static let subscribedProjects = 16
}
