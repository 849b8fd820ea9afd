public import Base

/// What is wrong with metadata or a filter, and where.
public struct PlacedFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// From the name of the field on: `filter`, `and`, item 3, `metadata.x`, `gte`.
    public enum Step: Sendable, Equatable {
        case name(String)
        case item(Int)
    }
    public let place: [Step]
    public let reason: String

    init(_ place: [Step], _ reason: String) {
        self.place = place
        self.reason = reason
    }

    private static let namesMax = 100

    /// `filter.and[3].metadata.x.gte`
    public static func path(_ place: [Step]) -> String {
        var text = ""
        for step in place {
            switch step {
            case .name(let name):
                // What a stranger called a field is not sent back at any length.
                let name = name.unicodeScalars.count <= namesMax ? name : String(String.UnicodeScalarView(name.unicodeScalars.prefix(namesMax))) + "..."
                text += text.isEmpty ? name : ".\(name)"
            case .item(let number): text += "[\(number)]"
            }
        }
        return text
    }

    public var description: String { "\(Self.path(place)): \(reason)" }

    public var contexError: ContexError { .invalid(field: Self.path(place), kind: "value_error", message: "Value error, \(self)") }
}
