// What a published document becomes: the parts that can be found, each with a path, a value and a text.

public import Base

/// The formats that are read. All but those of settings files are written too, as answers.
public enum ContentFormat: String, Sendable, CaseIterable {
    case json, yaml, toml, csv, xml, markdown, code, text
    case ini, properties, env

    /// By its name, or by one that people use for it, in any case.
    public init?(named name: String) {
        let name = name.lowercased()
        guard let format = Self(rawValue: name) ?? Self.otherNames[name] else { return nil }
        self = format
    }
    private static let otherNames: [String: Self] = [
        "yml": .yaml, "tsv": .csv, "md": .markdown, "txt": .text, "plain": .text, "dotenv": .env,
        "jsonc": .json, "json5": .json, "jsonl": .json, "ndjson": .json, "ipynb": .json,
    ]

    /// Whether every text is one of it.
    var takesAnything: Bool { self == .markdown || self == .code || self == .text }
}

/// What part of a document a node is. The names are those of the original's wire format.
public enum NodeKind: String, Sendable, CaseIterable {
    case object, primitive, row, heading, paragraph, sentence
    case codeBlock = "code_block"

    /// `is_structured` of the data listing.
    public var isStructured: Bool { self == .object || self == .row }

    /// Whether it is a piece of a running text.
    public var isProse: Bool { self == .sentence || self == .paragraph || self == .heading }

    /// Whether the value is a text that the publisher wrote as such, in prose or code.
    var isText: Bool { !isStructured && self != .primitive }
}

/// One searchable part of a document.
public struct ContentNode: Sendable, Equatable {
    /// Unique within the document; on the wire the node is `<data key>.<path>`.
    public let path: String
    public let kind: NodeKind
    public let value: JSONValue
    /// What answers show of it. It is found by other texts: `SearchText`.
    public let description: String

    public init(path: String, kind: NodeKind, value: JSONValue, description: String) {
        self.path = path
        self.kind = kind
        self.value = value
        self.description = description
    }

    /// The value as answers show it, which is always an object: another value stands under `value`.
    public var data: JSONValue {
        if case .object = value { value } else { .object(["value": value]) }
    }
}

/// A document in parts.
public struct SplitContent: Sendable, Equatable {
    /// What it was read as.
    public let format: ContentFormat
    public let nodes: [ContentNode]
    /// A sentence for the publisher when it was not read as what it was named, or not quite as it was written.
    public let note: String?

    public init(format: ContentFormat, nodes: [ContentNode], note: String?) {
        self.format = format
        self.nodes = nodes
        self.note = note
    }
}
