/// Why a token is refused. For tests and the log of the operator; who sent it learns only that it was.
public enum TokenFault: Error, Sendable, Equatable {
    /// It is over a limit of size.
    case tooLarge
    /// Three parts of base64url with dots between are what a token is.
    case malformed
    /// The header or the claims are no JSON object, or too deep.
    case notJSON
    /// An algorithm that is not known, `none` among them.
    case algorithm
    /// The header asks for what this reader does not do, or brings a key of its own.
    case header(String)
    /// No key fits: another algorithm, another name, another use.
    case key
    case signature
    /// A claim is missing or is not what it must be.
    case claim(String)
    /// Its time is over.
    case expired
    /// Its time has not come.
    case early

    /// Whether it proves nothing at all about who sent it: a guess.
    public var isGuess: Bool {
        switch self {
        // Its signature held, or its sender keeps an old one.
        case .expired, .early, .claim: false
        default: true
        }
    }
}
