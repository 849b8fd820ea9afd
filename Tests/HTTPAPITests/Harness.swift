import Base
import Content
import Engine
import Foundation
import HTTPAPI
import Service
import TestSupport

/// The whole edge over a real store in a folder of its own, without a socket and without the model: a text's vector is made of its
/// words, so that texts with words in common are near each other.
final class Harness: Sendable {
    static let dimension = 384

    /// What stands for the model.
    struct Embedding {
        let embed: @Sendable ([String]) async throws -> [[Float]]
    }

    let folder: TemporaryFolder
    let database: Database
    let operations: Operations
    let handler: APIHandler

    init(
        _ folder: TemporaryFolder = TemporaryFolder(), authentication: Bool = false, audit: any AuditTrail = NoAuditTrail(),
        meter: any Meter = NoMeter(), inflightBytesMax: Int = Limits.inflightBytes,
        model: Embedding = Embedding { texts in texts.map(Harness.vector) }, configure: (inout HTTPAPIConfiguration) -> Void = { _ in }
    ) throws {
        self.folder = folder
        var configuration = DatabaseConfiguration(directory: folder.path)
        configuration.mapBytes = 1 << 30
        var models = Models(
            identity: "hashed words", dimension: Self.dimension, embed: model.embed,
            countTokens: { $0.split { $0.isWhitespace || $0.isPunctuation }.count })
        models.text = { tokens in tokens.contains { $0 < 0 } ? nil : tokens.map { "t\($0)" }.joined(separator: " ") }
        database = try Database(configuration: configuration, models: models)
        operations = Operations(
            database: database, authenticationRequired: authentication, inflightBytesMax: inflightBytesMax, meter: meter, audit: audit)
        var edge = HTTPAPIConfiguration()
        configure(&edge)
        handler = APIHandler(operations: operations, configuration: edge)
    }

    static func vector(_ text: String) -> [Float] {
        var vector = [Float](repeating: 0, count: dimension)
        for word in text.lowercased().split(whereSeparator: { !$0.isLetter && !$0.isNumber }) {
            var hash: UInt64 = 14_695_981_039_346_656_037
            for byte in word.utf8 { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
            vector[Int(hash % UInt64(dimension))] += 1
        }
        let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return norm == 0 ? [1] + vector.dropFirst() : vector.map { $0 / norm }
    }

    /// - Parameter body: sent as JSON; nil sends none.
    func send(
        _ method: String, _ target: String, _ body: String? = nil, key: String? = nil, headers: [(name: String, value: String)] = []
    ) async -> APIAnswer {
        var headers = headers
        if body != nil, !headers.contains(where: { $0.name == "Content-Type" }) { headers.append(("Content-Type", "application/json")) }
        if let key { headers.append(("X-API-Key", key)) }
        if !headers.contains(where: { $0.name == "Host" }) { headers.append(("Host", "localhost:8001")) }
        let answer = await handler.answer(APIRequest(method: method, target: target, headers: headers), body: Array((body ?? "").utf8))
        // A stream that breaks off is none that a client would take for an answer.
        return (try? await answer.collected()) ?? APIAnswer(status: 599)
    }

    func close() async { await database.close() }
}

extension APIAnswer {
    var text: String { String(decoding: body, as: UTF8.self) }
    var json: JSONValue {
        get throws { try JSONParser.parse(body) }
    }
}
