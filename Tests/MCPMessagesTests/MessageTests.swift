import Base
import Content
import MCPMessages
import Testing

@Suite("Messages of JSON-RPC")
struct MessageTests {
    private static func request(_ text: String) throws -> RPCRequest {
        guard case .message(.request(let request)) = try RPCInput(Array(text.utf8)) else { throw RPCFault(.invalidRequest, "no request") }
        return request
    }

    private static func fault(_ text: String) -> RPCFault? {
        do throws(RPCFault) {
            _ = try RPCInput(Array(text.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test func anIDGoesBackAsItCame() throws {
        for id in ["7", "-1", #""a""#, #""""#, "123456789012345678901234567890"] {
            let request = try Self.request(#"{"jsonrpc":"2.0","id":\#(id),"method":"ping"}"#)
            #expect(String(decoding: RPCPrinter.result(JSONObject(), of: request.id), as: UTF8.self) == #"{"jsonrpc":"2.0","id":\#(id),"result":{}}"#)
        }
    }

    @Test(arguments: [
        "null", "1.5", "1e3", "true", "[1]", #"{"a":1}"#, "\"" + String(repeating: "x", count: MCPLimits.idBytes + 1) + "\"",
        String(repeating: "9", count: MCPLimits.idBytes + 1),
    ])
    func whatIsNoIDIsRefused(_ id: String) throws {
        let fault = try #require(Self.fault(#"{"jsonrpc":"2.0","id":\#(id),"method":"ping"}"#))
        #expect(fault.code == .invalidRequest && fault.id == nil)
        // The answer names no id, and says so.
        #expect(try JSONParser.parse(fault.bytes)["id"] == .null)
    }

    @Test(arguments: [
        (#"{"id":1,"method":"ping"}"#, RPCFault.Code.invalidRequest), (#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, .invalidRequest),
        (#"{"jsonrpc":"2.0","id":1}"#, .invalidRequest), (#"{"jsonrpc":"2.0","id":1,"method":7}"#, .invalidRequest),
        (#"{"jsonrpc":"2.0","id":1,"method":""}"#, .invalidRequest), (#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, .invalidRequest),
        (#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":7}}"#, .invalidParams),
        (#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, .invalidRequest), (#"{"jsonrpc":"2.0","result":{}}"#, .invalidRequest),
        ("7", .invalidRequest), ("[]", .invalidRequest), ("", .unparsed), ("{", .unparsed), (#"{"jsonrpc":"2.0"}{}"#, .unparsed),
        (#"{"jsonrpc":"2.0","id":1,"method":"\#(String(repeating: "m", count: MCPLimits.wordBytes + 1))"}"#, .invalidRequest),
    ])
    func whatIsNoMessageIsRefused(_ text: String, _ code: RPCFault.Code) {
        #expect(Self.fault(text)?.code == code, "\(text)")
    }

    @Test func depthIsBounded() {
        func nested(_ levels: Int) -> String {
            let (open, close) = (String(repeating: "[", count: levels), String(repeating: "]", count: levels))
            return #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"data":\#(open)\#(close)}}}"#
        }
        #expect(Self.fault(nested(Limits.nestingDepth)) == nil)
        #expect(Self.fault(nested(Limits.nestingDepth + 1))?.code == .unparsed)
        #expect(Self.fault(nested(1_000_000))?.code == .unparsed)
    }

    @Test func aBatchHasAnOutcomeForEach() throws {
        let text = #"[{"jsonrpc":"2.0","id":1,"method":"ping"},7,{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":2,"result":{}}]"#
        guard case .batch(let items) = try RPCInput(Array(text.utf8)) else {
            Issue.record("no batch")
            return
        }
        #expect(items.map { (try? $0.get()) != nil } == [true, false, true, true])
        let many = "[" + Array(repeating: #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, count: MCPLimits.batchItems + 1).joined(separator: ",") + "]"
        #expect(Self.fault(many)?.code == .invalidRequest)
    }

    @Test func everyRefusalIsAMessage() throws {
        for code in RPCFault.Code.allCases {
            let fault = RPCFault(code, String(repeating: "x", count: 100_000), data: ["k": "v"], id: .text("i"))
            let value = try JSONParser.parse(fault.bytes)
            #expect(value["jsonrpc"] == "2.0" && value["id"] == "i" && value["error"]?["code"] == .integer(code.rawValue))
            #expect(fault.bytes.count < 4_096 && value["error"]?["data"]?["k"] == "v")
        }
    }
}

@Suite("Requests that speak of themselves")
struct EnvelopeTests {
    private static let meta =
        #"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#

    private static func outcome(
        _ method: String = "tools/list", params: String = "", meta: String = EnvelopeTests.meta, headers: RoutingHeaders?
    ) throws -> Result<ProtocolRevision, RPCFault> {
        let text = #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":{"_meta":\#(meta)\#(params.isEmpty ? "" : ",")\#(params)}}"#
        guard case .message(.request(let request)) = try RPCInput(Array(text.utf8)) else { throw RPCFault(.invalidRequest, "no request") }
        return Result { () throws(RPCFault) in try StatelessEnvelope(request, headers: headers).revision }
    }

    private static func code(_ outcome: Result<ProtocolRevision, RPCFault>) -> RPCFault.Code? {
        if case .failure(let fault) = outcome { fault.code } else { nil }
    }

    private static func headers(_ version: String = "2026-07-28", _ method: String = "tools/list", _ names: [String] = []) -> RoutingHeaders {
        RoutingHeaders(versions: [version], methods: [method], names: names)
    }

    @Test func headersSayTheSame() throws {
        #expect(try Self.outcome(headers: Self.headers()).get() == .july2026)
        #expect(try Self.outcome(headers: nil).get() == .july2026)
        #expect(Self.code(try Self.outcome(headers: Self.headers("2025-11-25"))) == .headerMismatch)
        #expect(Self.code(try Self.outcome(headers: Self.headers("2026-07-28", "tools/call"))) == .headerMismatch)
        #expect(Self.code(try Self.outcome(headers: RoutingHeaders())) == .headerMismatch)
        var twice = Self.headers()
        twice.methods.append("tools/list")
        #expect(Self.code(try Self.outcome(headers: twice)) == .headerMismatch)
    }

    @Test func theNameIsComparedWhereThereIsOne() throws {
        func call(_ names: [String]) throws -> RPCFault.Code? {
            Self.code(try Self.outcome("tools/call", params: #""name":"get","arguments":{}"#, headers: Self.headers("2026-07-28", "tools/call", names)))
        }
        #expect(try call(["get"]) == nil)
        #expect(try call(["publish"]) == .headerMismatch && call([]) == .headerMismatch && call(["get", "get"]) == .headerMismatch)
        #expect(try call(["=?base64?Z2V0?="]) == nil)
        #expect(try call(["=?base64?Z2V1?="]) == .headerMismatch && call(["=?base64?Z2V0"]) == .headerMismatch && call(["=?base64?!!!!?="]) == .headerMismatch)
    }

    @Test func whatIsMissingOrUnknownIsSaid() throws {
        for meta in [
            "{}", #"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#, #"{"io.modelcontextprotocol/clientCapabilities":{}}"#,
            #"{"io.modelcontextprotocol/protocolVersion":7,"io.modelcontextprotocol/clientCapabilities":{}}"#,
            #"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}"#,
        ] {
            #expect(Self.code(try Self.outcome(meta: meta, headers: nil)) == .invalidParams, "\(meta)")
        }
        let later = #"{"io.modelcontextprotocol/protocolVersion":"2031-01-01","io.modelcontextprotocol/clientCapabilities":{}}"#
        guard case .failure(let fault) = try Self.outcome(meta: later, headers: Self.headers("2031-01-01")) else {
            Issue.record("a revision of the future is spoken")
            return
        }
        #expect(fault.code == .revisionUnsupported && fault.data?["requested"] == "2031-01-01" && fault.data?["supported"]?.arrayValue == ["2026-07-28"])
    }

    @Test func textsOfHeadersAreReadAgain() {
        for text in ["get", "", "a b", "größer", " edge", "=?base64?x?=", "\u{1F984}", String(repeating: "é", count: 333), "a\u{0}b"] {
            let header = HeaderText.encode(text)
            #expect(header.utf8.allSatisfy { (0x20...0x7E).contains($0) } && HeaderText.decode(header) == text, "\(text)")
        }
        // Of two spellings one is none.
        #expect(HeaderText.decode("=?base64?Z2V=?=") == nil && HeaderText.decode("=?base64?/////w==?=") == nil)
    }

    @Test func revisionsAgree() {
        #expect(ProtocolRevision.agreed(on: "2025-06-18") == .june2025)
        // One that only requests by themselves can be written in, and ones that nobody knows.
        for version in ["2026-07-28", "1999-01-01", ""] { #expect(ProtocolRevision.agreed(on: version) == .november2025) }
    }
}

@Suite("Addresses of documents")
struct ResourceAddressTests {
    @Test func everyNameHasOneAddress() throws {
        for (project, key) in [
            ("shop", "tech"), ("a b", "docs/x.md"), ("größe", "%2F"), ("?", "#"), ("..", "."), ("\u{1F984}", String(repeating: "ß", count: 255)),
        ] {
            let address = ResourceAddress(project: try Name(project, field: "p"), key: try Name(key, field: "k"))
            #expect(try ResourceAddress(address.description) == address)
        }
        #expect(ResourceAddress(project: try Name("a b", field: "p"), key: try Name("docs/x", field: "k")).description == "contex://a%20b/docs%2Fx")
        #expect(try ResourceAddress("contex://shop").key == nil && ResourceAddress("contex://shop/").key == nil)
    }

    @Test(arguments: [
        "", "contex://", "contex:///k", "http://shop/tech", "contex://a/b/c", "contex://a/b?c", "contex://a/b#c", "contex://a /b", "contex://%00/k",
        "contex://%ff/k",
        "contex://a/" + String(repeating: "b", count: 256), "contex://a/" + String(repeating: "%41", count: 10_000),
    ])
    func anyOtherTextIsRefused(_ text: String) {
        #expect(throws: ContexError.self) { try ResourceAddress(text) }
    }
}
