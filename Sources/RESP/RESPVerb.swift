/// The commands that are known, by their full lower-case names; a bar stands before a subcommand, as in Redis.
enum RESPVerb: String, CaseIterable {
    case auth
    case clientGetName = "client|getname"
    case clientHelp = "client|help"
    case clientID = "client|id"
    case clientInfo = "client|info"
    case clientList = "client|list"
    case clientNoEvict = "client|no-evict"
    case clientNoTouch = "client|no-touch"
    case clientSetInfo = "client|setinfo"
    case clientSetName = "client|setname"
    case command
    case commandCount = "command|count"
    case commandDocs = "command|docs"
    case commandHelp = "command|help"
    case commandInfo = "command|info"
    case commandList = "command|list"
    case echo
    case hello
    case info
    case ping
    case psubscribe
    case publish
    case pubsubChannels = "pubsub|channels"
    case pubsubHelp = "pubsub|help"
    case pubsubNumPat = "pubsub|numpat"
    case pubsubNumSub = "pubsub|numsub"
    case punsubscribe
    case quit
    case reset
    case select
    case subscribe
    case unsubscribe

    /// Arguments with the name: exactly so many, or with a minus at least so many.
    var arity: Int {
        switch self {
        case .reset: 1
        case .clientGetName, .clientHelp, .clientID, .clientInfo, .commandCount, .commandHelp, .echo, .pubsubHelp, .pubsubNumPat,
            .select: 2
        case .clientNoEvict, .clientNoTouch, .clientSetName, .publish: 3
        case .clientSetInfo: 4
        case .command, .hello, .info, .ping, .punsubscribe, .quit, .unsubscribe: -1
        case .auth, .clientList, .commandDocs, .commandInfo, .commandList, .psubscribe, .pubsubChannels, .pubsubNumSub, .subscribe: -2
        }
    }

    /// Before authentication.
    var isOpenToStrangers: Bool {
        switch self {
        case .auth, .hello, .quit, .reset: true
        default: false
        }
    }

    /// While version 2 has subscriptions, when every answer could be taken for a message.
    var isAllowedWhileSubscribed: Bool {
        switch self {
        case .ping, .psubscribe, .punsubscribe, .quit, .reset, .subscribe, .unsubscribe: true
        default: false
        }
    }

    static let topLevel = Set(allCases.map { String($0.rawValue.prefix { $0 != "|" }) }).sorted()

    static func subcommands(of container: String) -> [String] {
        allCases.map(\.rawValue).filter { $0.hasPrefix(container + "|") }.map { String($0.dropFirst(container.count + 1)) }
    }

    /// The verb of a command, or the error for an unknown one or a wrong number of arguments.
    static func find(_ command: [[UInt8]]) throws(RESPRefusal) -> RESPVerb {
        let name = lowercased(command[0])
        let verb: RESPVerb
        if command.count > 1, ["client", "command", "pubsub"].contains(name) {
            guard let found = RESPVerb(rawValue: name + "|" + lowercased(command[1])) else {
                throw RESPRefusal("ERR unknown subcommand '\(shown(command[1], 128))'. Try \(name.uppercased()) HELP.")
            }
            verb = found
        } else if name == "client" || name == "pubsub" {
            throw wrongNumber(name)
        } else if let found = RESPVerb(rawValue: name), !name.contains("|") {
            verb = found
        } else {
            throw RESPRefusal("ERR unknown command '\(shown(command[0], 128))', with args beginning with: \(beginning(command))")
        }
        guard verb.arity >= 0 ? command.count == verb.arity : command.count >= -verb.arity else { throw wrongNumber(verb.rawValue) }
        return verb
    }

    static func wrongNumber(_ name: String) -> RESPRefusal { RESPRefusal("ERR wrong number of arguments for '\(name)' command") }

    /// Names are ASCII and short; anything else is no name.
    static func lowercased(_ bytes: [UInt8]) -> String {
        bytes.count <= 16 ? String(decoding: bytes, as: UTF8.self).lowercased() : ""
    }

    /// A stranger's text inside a message, cut short.
    static func shown(_ bytes: [UInt8], _ count: Int) -> String { String(decoding: bytes.prefix(count), as: UTF8.self) }

    /// The first arguments in quotes, about 128 bytes of them, as Redis shows them.
    private static func beginning(_ command: [[UInt8]]) -> String {
        var text = ""
        for argument in command.dropFirst() {
            let rest = 128 - text.utf8.count
            guard rest > 0 else { break }
            text += "'\(shown(argument, rest))' "
        }
        return text
    }
}

/// A command that is answered with an error.
struct RESPRefusal: Error {
    let text: String
    init(_ text: String) { self.text = text }
}
