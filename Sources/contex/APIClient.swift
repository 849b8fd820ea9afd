internal import Addresses
internal import ArgumentParser
internal import Assembly
internal import AsyncHTTPClient
internal import Base
internal import Content
internal import NIOCore
internal import NIOHTTP1

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// What every client command takes.
struct ClientOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The server (default: CONTEX_SERVER, else http://127.0.0.1:8001).", valueName: "url"))
    var server: String?

    @Option(help: ArgumentHelp("The API key (default: CONTEX_API_KEY, which other users of the machine cannot see).", valueName: "key"))
    var apiKey: String?

    @OptionGroup var trust: TrustOptions
    @Option(help: ArgumentHelp("The tenant, for the operator's keys (default: CONTEX_TENANT, else the key's own).", valueName: "tenant-id"))
    var inTenant: String?

    @Flag(help: "Print what the server answers as JSON.")
    var json = false

    func client() throws -> APIClient {
        let environment = ProcessInfo.processInfo.environment
        func named(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        return try APIClient(
            server: server ?? named("CONTEX_SERVER") ?? "http://127.0.0.1:8001", apiKey: apiKey ?? named("CONTEX_API_KEY"),
            tenant: inTenant ?? named("CONTEX_TENANT"), trust: trust.trust)
    }
}

/// The HTTP API of a running server.
struct APIClient {
    private let base: String
    let apiKey: String?
    private let tenant: String?
    private let http: HTTPClient

    private static let answerBytesMax = 256 << 20
    private static let answerSeconds: Int64 = 120

    init(server: String, apiKey: String?, tenant: String? = nil, trust: ClientTrust) throws(CommandFailure) {
        // A port that is none would end the process inside the HTTP client.
        guard let address = try? WebAddress(server), address.port != 0 else {
            throw CommandFailure(.usage, "the server '\(Terminal.clean(server, atMost: 80))' is no URL: http://HOST:PORT or https://HOST:PORT is expected")
        }
        var base = server
        while base.hasSuffix("/") { base.removeLast() }
        self.base = base
        self.apiKey = apiKey
        http = try trust.client()
        self.tenant = tenant
    }

    func get(_ path: [String], _ query: [(String, String)] = []) async throws -> JSONValue { try await call("GET", path, query, nil).answer }
    func post(_ path: [String], _ body: JSONValue) async throws(CommandFailure) -> JSONValue { try await call("POST", path, [], body).answer }
    func post(_ path: [String], _ query: [(String, String)], _ body: JSONValue) async throws -> JSONValue {
        try await call("POST", path, query, body).answer
    }
    func put(_ path: [String], _ body: JSONValue) async throws(CommandFailure) -> JSONValue { try await call("PUT", path, [], body).answer }
    func patch(_ path: [String], _ body: JSONValue) async throws(CommandFailure) -> JSONValue { try await call("PATCH", path, [], body).answer }
    func delete(_ path: [String], _ query: [(String, String)] = []) async throws -> JSONValue { try await call("DELETE", path, query, nil).answer }

    /// A listing, page after page, as the answer that it would be in one piece.
    /// - Parameter list: the member that holds the items; nil when the answer is the list.
    func getAll(_ path: [String], _ query: [(String, String)] = [], list: String? = nil) async throws -> JSONValue {
        var (first, next) = try await call("GET", path, query, nil)
        var items = (list.map { first[$0] } ?? first)?.arrayValue ?? []
        while let cursor = next {
            let page = try await call("GET", path, query.filter { $0.0 != "cursor" } + [("cursor", cursor)], nil)
            // What is a bare list at first comes as a member of the pages after it.
            items += page.answer[list ?? "data"]?.arrayValue ?? []
            next = page.next
        }
        guard let list, case .object(var members) = first else { return .array(items) }
        members[list] = .array(items)
        if members["count"] != nil { members["count"] = .integer(items.count) }
        members["has_more"] = nil
        members["next_cursor"] = nil
        first = .object(members)
        return first
    }

    /// The server answers questions about a project that never was as if it were empty, as the original does; a person has mistyped its name.
    /// Asked when an answer is empty.
    /// - Throws: exit code 3 for an unknown project.
    func requireProject(_ project: String) async throws(CommandFailure) {
        do throws(CommandFailure) {
            _ = try await call("GET", ["projects", project, "settings"], [], nil)
        } catch {
            guard error.status == .notFound else { throw error }
            throw CommandFailure(.notFound, "there is no project '\(Terminal.clean(project, atMost: 100))' ('contex projects' lists those there are)")
        }
    }

    private func request(_ method: String, _ path: [String], _ query: [(String, String)] = []) -> HTTPClientRequest {
        var url = base + "/api/v1/" + path.map { PercentEncoding.encode($0) }.joined(separator: "/")
        if !query.isEmpty { url += "?" + query.map { "\($0.0)=\(PercentEncoding.encode($0.1))" }.joined(separator: "&") }
        var request = HTTPClientRequest(url: url)
        request.method = .init(rawValue: method)
        request.headers.add(name: "User-Agent", value: "contex/\(Version.current)")
        if let apiKey { request.headers.add(name: "X-API-Key", value: apiKey) }
        if let tenant { request.headers.add(name: "X-Tenant-ID", value: tenant) }
        return request
    }

    /// - Parameter path: the segments after `/api/v1`, not yet encoded.
    /// - Returns: also the cursor to the rest of a listing.
    private func call(
        _ method: String, _ path: [String], _ query: [(String, String)], _ body: JSONValue?
    ) async throws(CommandFailure) -> (answer: JSONValue, next: String?) {
        var request = request(method, path, query)
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: JSONPrinter.bytes(body)))
        }

        let (status, bytes, next, code) = try await answer(request)
        let answer = try? JSONParser.parse(bytes)
        guard (200..<300).contains(status) else {
            throw CommandFailure(httpStatus: status, code: code, message: Self.refusal(status, answer, hasKey: apiKey != nil))
        }
        if status == 204 { return (.null, nil) }
        guard let answer else { throw CommandFailure(.failed, "\(base) does not answer as a Contex server does: its answer is no JSON") }
        return (answer, next)
    }

    /// An answer that is no JSON.
    func text(_ path: [String]) async throws(CommandFailure) -> String {
        let (status, bytes, _, code) = try await answer(request("GET", path))
        guard (200..<300).contains(status) else {
            throw CommandFailure(
                httpStatus: status, code: code, message: Self.refusal(status, try? JSONParser.parse(bytes), hasKey: apiKey != nil))
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// An answer of which also a refusal is wanted.
    func look(_ path: [String]) async throws(CommandFailure) -> (status: Int, answer: JSONValue) {
        let (status, bytes, _, _) = try await answer(request("GET", path))
        return (status, (try? JSONParser.parse(bytes)) ?? .null)
    }

    private func answer(
        _ request: HTTPClientRequest
    ) async throws(CommandFailure) -> (status: Int, bytes: [UInt8], next: String?, code: String?) {
        do {
            let response = try await http.execute(request, timeout: .seconds(Self.answerSeconds))
            return (
                Int(response.status.code), Array(try await response.body.collect(upTo: Self.answerBytesMax).readableBytesView),
                response.headers.first(name: "X-Next-Cursor"), response.headers.first(name: "X-Contex-Error")
            )
        } catch {
            if let reason = ClientTrust.reason(error) { throw CommandFailure(.unreachable, "no connection to \(base): \(reason)") }
            throw CommandFailure(.unreachable, "no server answers at \(base): start one (contex serve) or name another (--server, CONTEX_SERVER)")
        }
    }

    /// The server's reason, and what to do about it where that is not plain.
    private static func refusal(_ status: Int, _ answer: JSONValue?, hasKey: Bool) -> String {
        var reason = answer?["detail"]?.stringValue ?? answer?["message"]?.stringValue ?? "HTTP status \(status)"
        if let details = answer?["detail"]?.arrayValue {
            reason = details.map { detail in
                let place = (detail["loc"]?.arrayValue ?? []).dropFirst().map { $0.stringValue ?? $0.integerValue.map(String.init) ?? "" }
                return "\(place.joined(separator: ".")): \(detail["msg"]?.stringValue ?? "not valid")"
            }.joined(separator: "; ")
        }
        if status == 401 { reason += hasKey ? "" : ": give one with CONTEX_API_KEY or --api-key" }
        return Terminal.clean(reason, atMost: 600)
    }
}
