internal import Base
internal import Content
internal import MCPMessages

extension FuzzTargets {
    static let mcp: [FuzzTarget] = [mcpMessage]

    /// An input is a message, after a byte whose bits say which headers go with it.
    static let mcpMessage = FuzzTarget(
        "mcp-message",
        "any bytes are messages or refused with an answer that is one; ids are answered as they came; headers and addresses are read again from their own text",
        seeds: {
            let meta = #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#
            return [
                #"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t"}}}"#,
                #"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{\#(meta),"name":"get","arguments":{"project":"p","key":"k"}}}"#,
                #"{"jsonrpc":"2.0","id":-7,"method":"resources/read","params":{\#(meta),"uri":"contex://a%20b/c%2Fd"}}"#,
                #"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#, #"{"jsonrpc":"2.0","id":1,"result":{}}"#,
                #"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x"},7]"#, #"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
                #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{\#(meta),"name":"=?base64?Z2V0?="}}"#,
            ].enumerated().map { [UInt8($0.offset)] + Array($0.element.utf8) }
        }
    ) { input in
        var reader = InputReader(input)
        let choice = reader.byte()
        let bytes = reader.rest
        let messages: [Result<RPCMessage, RPCFault>]
        switch Result(catching: { () throws(RPCFault) in try RPCInput(bytes) }) {
        case .success(.message(let message)): messages = [.success(message)]
        case .success(.batch(let items)):
            try require((1...MCPLimits.batchItems).contains(items.count), "a batch of \(items.count)")
            messages = items
        case .failure(let fault): messages = [.failure(fault)]
        }
        for message in messages {
            switch message {
            case .failure(let fault): try judge(fault)
            case .success(.request(let request)):
                let answer = try JSONParser.parse(RPCPrinter.result(JSONObject(), of: request.id))
                try require(answer["id"] == request.id.json, "an id is another in the answer")
                let name = (request.params["name"] ?? request.params["uri"])?.stringValue
                let headers = RoutingHeaders(
                    versions: choice & 1 == 0 ? ["2026-07-28"] : [], methods: choice & 2 == 0 ? [HeaderText.encode(request.method)] : [request.method],
                    names: choice & 4 == 0 ? [name.map(HeaderText.encode) ?? ""] : [name ?? ""])
                switch Result(catching: { () throws(RPCFault) in try StatelessEnvelope(request, headers: choice & 8 == 0 ? headers : nil) }) {
                case .success(let envelope): try require(envelope.revision.isStateless && StatelessEnvelope.isIn(request), "an envelope that is none")
                case .failure(let fault): try judge(fault)
                }
                if let name {
                    try require(HeaderText.decode(HeaderText.encode(name)) == name, "a header is another text")
                    if let address = try? ResourceAddress(name) {
                        try require(try ResourceAddress(address.description) == address, "an address is another one")
                    }
                }
                _ = HeaderText.decode(request.method)
            case .success(.notification(let method, _)): try require(!method.isEmpty && method.utf8.count <= MCPLimits.wordBytes, "a method of any length")
            case .success(.answer): break
            }
        }
    }

    private static func judge(_ fault: RPCFault) throws {
        let answer = try JSONParser.parse(fault.bytes)
        try require(answer["error"]?["code"] == .integer(fault.code.rawValue) && fault.bytes.count < 8_192, "a refusal that is no small message")
        try require((400...404).contains(fault.code.httpStatus), "\(fault.code.httpStatus)")
    }
}
