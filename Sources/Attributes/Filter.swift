/// Which nodes a search may answer, by what their documents say. docs/filters.md describes the JSON that users write.
public indirect enum Filter: Sendable, Equatable {
    /// All of them hold; of none: everything passes.
    case and([Filter])
    /// At least one holds; of none: nothing passes.
    case or([Filter])
    case not(Filter)
    case condition(Condition)

    /// One attribute, one test. An attribute with several values (an array in the metadata) passes when one of them does.
    public struct Condition: Sendable, Equatable {
        public let field: AttributeField
        public let test: Test
        /// Where it stood in the request.
        public let place: [PlacedFault.Step]

        public init(field: AttributeField, test: Test, place: [PlacedFault.Step]) {
            self.field = field
            self.test = test
            self.place = place
        }
    }

    public enum Test: Sendable, Equatable {
        /// The value is one of these.
        case oneOf([AttributeValue])
        case range(AttributeRange)
        /// A text begins with this.
        case prefix(String)
        /// The attribute is there; a null is there too.
        case exists
    }
}

/// A stretch of values of one kind: numbers, dates or texts (in the order of their UTF-8 bytes). At least one end is there.
public struct AttributeRange: Sendable, Equatable {
    public struct Bound: Sendable, Equatable {
        public let value: AttributeValue
        public let isIncluded: Bool
    }
    public var lower: Bound?
    public var upper: Bound?
}
