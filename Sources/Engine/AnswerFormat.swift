public import Base
public import Content
internal import TOON

/// The formats that an answer can be asked for. Here and not at the edge, because a budget of tokens is counted in the format that goes out.
public enum AnswerFormat: String, CaseIterable, Sendable {
    case json, yaml, toml, csv, xml, markdown, toon, text

    /// - Parameter jsonStyle: how JSON is laid out; the other formats have one way.
    public func encode(_ value: JSONValue, jsonStyle: JSONStyle = .compact) throws(ContexError) -> [UInt8] {
        switch self {
        case .json: JSONPrinter.bytes(value, style: jsonStyle)
        case .toon: Array(TOONEncoder.encode(value).utf8)
        case .yaml: try ResponseEncoder.encode(value, as: .yaml)
        case .toml: try ResponseEncoder.encode(value, as: .toml)
        case .csv: try ResponseEncoder.encode(value, as: .csv)
        case .xml: try ResponseEncoder.encode(value, as: .xml)
        case .markdown: try ResponseEncoder.encode(value, as: .markdown)
        case .text: try ResponseEncoder.encode(value, as: .text)
        }
    }
}
