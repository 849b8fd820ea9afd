// The whole edge for strangers' requests: every rule, every route and every operation behind it, over a real store, without a socket and
// without the model.

internal import Base
internal import Content
internal import Engine
internal import Foundation
internal import HTTPAPI
internal import LMDB
internal import Maintenance
internal import Service
internal import Synchronization
internal import TestSupport

extension FuzzTargets {
    public static let http: [FuzzTarget] = [httpRequest, httpImport, socketMessage]

    /// An input is a request as people write one: a line `METHOD target`, headers a line each, an empty line, the body. A request that
    /// names no host is one to this machine.
    static let httpRequest = FuzzTarget(
        "http-request", "any method, target, headers and body are answered, never with a crash or a 500, and never without the headers of safety",
        inputBytesMax: 8_192, seeds: { RouteTable.all.flatMap(requests) + oddRequests.map { Array($0.utf8) } }
    ) { input in
        let (request, body) = parsed(input)
        try Edge.shared.use(renewedAfter: 2_000) { edge in
            try wait {
                let answer = await edge.handler.answer(request, body: body)
                try judge(answer, request)
            }
        }
    }

    /// An input is a document, after a byte that says how it is taken over.
    static let httpImport = FuzzTarget(
        "http-import", "any document is imported or refused; what was imported can be read, exported and searched, and the store is whole",
        inputBytesMax: 16_384, seeds: importSeeds
    ) { input in
        var reader = InputReader(input)
        let choice = reader.byte()
        let document = reader.rest
        let folder = TemporaryFolder()
        try wait {
            let edge = try await Edge(folder)
            func send(_ method: String, _ target: String, _ body: [UInt8] = []) async throws -> APIAnswer {
                let request = APIRequest(
                    method: method, target: target, headers: [("Host", "localhost"), ("Content-Type", "application/octet-stream")])
                let query = APIRequest(method: method, target: target, headers: [("Host", "localhost"), ("Content-Type", "application/json")])
                let sent = target.hasSuffix("query") ? query : request
                let answer = await edge.handler.answer(sent, body: body)
                try judge(answer, sent)
                return answer
            }
            let place = "/api/v1/projects/fuzz"
            let format = choice & 1 == 0 ? "json" : "toon"
            for overwrite in choice & 2 == 0 ? ["false"] : ["false", "true"] {
                _ = try await send("POST", place + "/import?format=\(format)&overwrite=\(overwrite)", document)
            }
            _ = try await send("GET", place + "/events")
            let export = try await send("GET", place + "/data?include_events=true&include_embeddings=true&include_agents=true")
            try require(export.status == 200, "the export is answered with \(export.status)")
            _ = try await send("GET", place + "/data")
            _ = try await send("GET", place + "/agents")
            _ = try await send("POST", place + "/query", Array(#"{"query":"value","threshold":0,"response_format":"json"}"#.utf8))
            // What was exported can be imported elsewhere, if the project is named so.
            _ = try await send("POST", "/api/v1/projects/fuzz/import?overwrite=true", export.body)
            await edge.database.close()
        }
        let findings = try IntegrityCheck.run(directory: folder.path).findings
        try require(findings.isEmpty, findings.joined(separator: "\n"))
    }

    /// An input is a text that a client sends on a WebSocket.
    static let socketMessage = FuzzTarget(
        "socket-message", "any message is read or refused; what is read is inside the limits, and is read again from a text of its own",
        seeds: texts(
            #"{"type":"subscribe","id":"s","agent_id":"a","project_id":"p","cursor":"0-41","suppress_own":true}"#,
            #"{"type":"subscribe","id":"s","project_id":"p"}"#, #"{"type":"ack","id":"s","cursor":"1-2"}"#, #"{"type":"unsubscribe","id":"s"}"#,
            #"{"type":"ping"}"#, #"{"type":"subscribe","id":"\u0000","agent_id":"\ud83e\udd81","cursor":null}"#)
    ) { input in
        let request: SocketRequest
        do throws(ContexError) { request = try SocketRequest(input) } catch {
            try require(error.category == .invalid && !error.message.isEmpty, "\(error)")
            // Of what was refused a subscription may be named.
            if let id = SocketRequest.id(in: input) { try require(id.unicodeScalars.count <= SocketRequest.idScalarsMax, "a long id") }
            return
        }
        var members = JSONObject()
        switch request {
        case .ping: members["type"] = "ping"
        case .unsubscribe(let id): members = JSONObject([("type", "unsubscribe"), ("id", .string(id))])
        case .ack(let id, let cursor): members = JSONObject([("type", "ack"), ("id", .string(id)), ("cursor", .string(cursor.description))])
        case .subscribe(let id, let subject, let cursor, let suppressesOwn):
            members = JSONObject([("type", "subscribe"), ("id", .string(id)), ("suppress_own", .bool(suppressesOwn))])
            switch subject {
            case .agent(let agent, let project):
                members["agent_id"] = .string(agent.text)
                members["project_id"] = project.map { .string($0.text) } ?? .null
            case .project(let project): members["project_id"] = .string(project.text)
            }
            members["cursor"] = .string(cursor?.description ?? "")
        }
        if case .subscribe(let id, _, _, _) = request {
            try require((1...SocketRequest.idScalarsMax).contains(id.unicodeScalars.count), "an id of \(id.unicodeScalars.count)")
        }
        try require(try SocketRequest(JSONPrinter.bytes(.object(members))) == request, "\(request) is read otherwise again")
    }

    // MARK: - The server under test

    private struct Edge: Sendable {
        let folder: TemporaryFolder
        let database: Database
        let handler: APIHandler

        static let shared = Lender()

        init(_ folder: TemporaryFolder = TemporaryFolder()) async throws {
            self.folder = folder
            var configuration = DatabaseConfiguration(directory: folder.path)
            configuration.mapBytes = 1 << 30
            configuration.durability = .unsafeNoSync
            configuration.threads = 2
            var models = Models(
                identity: "fuzz", dimension: 8, embed: { texts in texts.map(FuzzTargets.vector) }, countTokens: { $0.utf8.count / 4 + 1 })
            models.text = { tokens in tokens.allSatisfy { (0..<1_000).contains($0) } ? tokens.map { "t\($0)" }.joined(separator: " ") : nil }
            database = try Database(configuration: configuration, models: models)
            let operations = Operations(database: database, authenticationRequired: false)
            // Nothing that an input waits for comes.
            operations.endWaits()
            handler = APIHandler(operations: operations, configuration: HTTPAPIConfiguration())
            for (target, body) in [
                ("/api/v1/data/publish", #"{"project_id":"p","data_key":"k","data":{"a":[1,{"b":"text"}]},"metadata":{"team":"core"}}"#),
                ("/api/v1/agents/register", #"{"project_id":"p","agent_id":"a","data_needs":["text"]}"#), ("/api/v1/auth/keys?name=n", ""),
            ] {
                _ = await handler.answer(
                    APIRequest(method: "POST", target: target, headers: [("Host", "localhost"), ("Content-Type", "application/json")]), body: Array(body.utf8))
            }
        }
    }

    /// Lends one server to many inputs: making one takes longer than most of them. It grows, so it is made anew now and then.
    private final class Lender: Sendable {
        private let state = Mutex<(edge: Edge, uses: Int)?>(nil)

        func use(renewedAfter uses: Int, _ body: (Edge) throws -> Void) throws {
            var (edge, count) = state.withLock { ($0?.edge, $0?.uses ?? 0) }
            if count >= uses, let old = edge {
                try wait { await old.database.close() }
                edge = nil
                count = 0
            }
            let current = try edge ?? wait { try await Edge() }
            state.withLock { $0 = (current, count + 1) }
            try body(current)
        }
    }

    private static func vector(_ text: String) -> [Float] {
        var vector = [Float](repeating: 0.1, count: 8)
        for byte in text.utf8 { vector[Int(byte & 7)] += 1 }
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return vector.map { $0 / length }
    }

    /// libFuzzer calls from a thread of its own, which may wait.
    private static func wait<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) throws -> T {
        let done = DispatchSemaphore(value: 0)
        let outcome = Mutex<Result<T, any Error>?>(nil)
        Task {
            let result: Result<T, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            outcome.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        guard let result = outcome.withLock({ $0 }) else { throw FuzzFinding("no outcome") }
        return try result.get()
    }

    // MARK: - Requests and answers

    private static func parsed(_ input: [UInt8]) -> (APIRequest, [UInt8]) {
        var rest = input[...]
        func line() -> String {
            let line = rest.prefix { $0 != 0x0A }
            rest = rest.dropFirst(line.count + 1)
            return String(decoding: line, as: UTF8.self)
        }
        let first = line().split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        var headers: [(name: String, value: String)] = []
        while !rest.isEmpty {
            let text = line()
            guard let colon = text.firstIndex(of: ":") else { break }
            headers.append((String(text[..<colon]), String(text[text.index(after: colon)...].drop { $0 == " " })))
        }
        if !headers.contains(where: { $0.name.lowercased() == "host" }) { headers.append(("Host", "localhost")) }
        return (APIRequest(method: first[0], target: first.count > 1 ? first[1] : "/", headers: headers), Array(rest))
    }

    private static func judge(_ answer: APIAnswer, _ request: APIRequest) throws {
        let isAnswer = answer.status == 101 || (200..<500).contains(answer.status) || answer.status == 501 || answer.status == 503
        try require(isAnswer, "\(answer.status): \(String(decoding: answer.body.prefix(500), as: UTF8.self))")
        for name in ["X-Content-Type-Options", "X-Frame-Options", "Content-Security-Policy", "Cache-Control", "X-Request-ID", "Vary"] {
            try require(answer.header(name) != nil, "\(name) is missing")
        }
        for (name, value) in answer.headers {
            try require(!value.utf8.contains { $0 == 0x0A || $0 == 0x0D || $0 == 0 }, "the header \(name) has a line break")
        }
        if request.method == "HEAD" { try require(answer.body.isEmpty, "an answer to HEAD with a body") }
        if answer.header("Content-Type") == "application/json", !answer.body.isEmpty {
            try require((try? JSONParser.parse(answer.body, maximumDepth: 200)) != nil, "the answer is no JSON")
        }
        if answer.status >= 400 { try require(answer.body.count < 200_000, "a refusal of \(answer.body.count) bytes") }
    }

    // MARK: - Seeds

    /// A request that a route answers, under each prefix.
    private static func requests(_ route: Route) -> [[UInt8]] {
        var path = route.path
        let names = ["project_id": "p", "data_key": "k", "agent_id": "a"]
        for field in route.pathFields { path = path.replacing("{\(field.name)}", with: names[field.name] ?? "1") }
        let query = route.queryFields.map { "\($0.name)=\(plain(sample($0)))" }.joined(separator: "&")
        let object = JSONValue.object(JSONObject(route.body.fields.map { ($0.name, sample($0)) }))
        let body: String =
            switch route.body {
            case .none: ""
            case .object, .form: JSONPrinter.text(object)
            case .objects, .separateObjects: JSONPrinter.text(.array([object, object]))
            case .optionalJSON: #"["p"]"#
            case .document: #"{"project_id":"p","version":"1.0","data":{"events":[{"event_id":"1","event_type":"t","data":{"k":1}}]}}"#
            }
        return route.bases.prefixes.map { prefix in
            Array("\(route.method) \(prefix)\(path)\(query.isEmpty ? "" : "?" + query)\nContent-Type: application/json\n\n\(body)".utf8)
        }
    }

    private static func plain(_ value: JSONValue) -> String { value.stringValue ?? JSONPrinter.text(value) }

    private static func sample(_ field: FieldShape) -> JSONValue {
        switch (field.name, field.rule) {
        case ("project_id", _): "p"
        case ("data_key", _): "k"
        case ("role", _): "readonly"
        case (_, .text), (_, .name): "1"
        case (_, .metadata): ["team": "core", "size": .integer(3)]
        case (_, .filter): ["or": .array([["metadata.team": "core"], ["data_key": ["prefix": "k"]]])]
        case (_, .integer(let min, _)): .integer(min ?? 1)
        case (_, .number(let min, _)): .double(min)
        case (_, .shares(let names)): .object(JSONObject(names.map { ($0, .double(0.5)) }))
        case (_, .flag): .bool(true)
        case (_, .texts): .array(["k"])
        case (_, .embeddingInputs): .array(["text", .array([.integer(1), .integer(2)])])
        case (_, .word(let words, _)): .string(words[0])
        case (_, .address): "http://sample.example/"
        case (_, .vector): .array([1, 0, 0, 0, 0, 0, 0, 0].map { .integer($0) })
        case (_, .moment): "1"
        case (_, .anything): ["sample": .array([.integer(1), ["deep": "text"]])]
        }
    }

    private static let oddRequests = [
        "GET http://elsewhere/health?a=%zz&a=%00\nHost: localhost:80\n\n", "OPTIONS *\n\n",
        "HEAD /api/v1/projects/%2e%2e/../%2F/data?format=toon&format=csv\n\n",
        "OPTIONS /api/v1/data/publish\nOrigin: http://a.example\nAccess-Control-Request-Method: POST\n\n", "GET /%ff%fe/%00\nHost: [::1]:1\n\n",
        "POST /api/v1/data/publish\nContent-Type: text/plain\nOrigin: null\nSec-Fetch-Site: cross-site\n\n{}",
        "POST /api/v1/data/publish\nContent-Type: application/json\nContent-Encoding: gzip\nContent-Length: 99999999999999999999\n\n\u{1F}\u{8B}",
        "POST /api/v1/projects/p/query\nContent-Type: application/json\n\n"
            + #"{"query":"+a -\"b c\" d* metadata.team:core","as_of":"2026-01-31T08:30:00Z","explain":true}"#,
        "GET /api/v1/projects/p/data?include_events=1&include_embeddings=1&include_agents=1&format=xml\n\n", "\n\n", "POST\n:\n\n",
    ]

    private static func importSeeds() -> [[UInt8]] {
        let events =
            #""events":[{"event_id":"1","event_type":"t","data":{"k":{"a":[1,2]}},"created_at":"2026-01-01T00:00:00+00:00"},"#
            + #"{"event_id":"2","event_type":"x","data":{"l":"text"}}]"#
        let nodes =
            #""embeddings":[{"key":"k.root","data_key":"k","node_path":"root","node_type":"object","description":"root | a: 1","#
            + #""data":{"a":[1,2]},"data_format":"json"}]"#
        let agents =
            #""agents":[{"agent_id":"a","data":{"project_id":"fuzz","needs":["text"],"notification_method":"redis","response_format":"json"},"#
            + #""last_sequence":"1"}]"#
        let whole = #"{"project_id":"fuzz","version":"1.0","data":{\#(events),\#(nodes),\#(agents)}}"#
        let documents = [whole, #"{"project_id":"fuzz","data":{\#(events)}}"#, #"{"project_id":"fuzz","version":"1.0","data":{\#(nodes)}}"#]
        var seeds = documents.map { [0] + Array($0.utf8) }
        seeds.append([2] + Array(whole.utf8))
        let toon = "project_id: fuzz\nversion: \"1.0\"\ndata:\n  events[1]:\n    - event_id: \"1\"\n      event_type: t\n      data:\n        k: 1\n"
        seeds.append([1] + Array(toon.utf8))
        return seeds
    }
}
