internal import Base
internal import Embedding
internal import Engine
internal import NIOPosix
internal import Tokens

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// What a model folder holds, ready for work.
struct ModelFolder: Sendable {
    let models: Models
    /// The model's name and digest, for the log.
    let identity: String
    /// The matrix kernels in use, for the log.
    let kernels: String
    let close: @Sendable () -> Void

    private static let ranksName = "cl100k_base.tiktoken"
    /// Ten times the 1.7 MB that the ranks have.
    private static let ranksBytesMax = 16 << 20

    /// Loads model and token ranks side by side; some 20 ms with the weights packed before, 0.3 s the first time.
    /// - Throws: `.unavailable` with one line that names folder and file.
    static func load(_ configuration: ServerConfiguration) async throws(ContexError) -> ModelFolder {
        let folder = configuration.modelFolder
        let precision = configuration.embeddingPrecision
        let pool = NIOThreadPool(numberOfThreads: 2)
        pool.start()
        defer { pool.shutdownGracefully { _ in } }
        do {
            async let model = pool.runIfActive { try EmbeddingModel(folder: folder, precision: precision) }
            async let ranks = pool.runIfActive { try tokenRanks(folder) }
            let (loaded, counter) = (try await model, try await ranks)
            let embedder = Embedder(
                model: loaded, tokenizer: loaded.tokenizer, threads: configuration.computeThreads, cacheBytes: configuration.embeddingCacheBytes,
                cacheLifetime: .seconds(configuration.embeddingCacheSeconds))
            var models = Models(
                identity: loaded.identity, dimension: loaded.dimension, embedScoped: { try await embedder.embed($0) }, countTokens: { counter.count($0) })
            models.embedDocuments = { try await embedder.embed($0, for: .document, as: .publish) }
            models.reads = { loaded.tokenizer.reads($0, limit: loaded.sequenceLimit) }
            models.text = { counter.text($0) }
            models.warm = { await embedder.warm($0) }
            models.cacheUse = {
                let use = embedder.statistics
                var told = Models.CacheUse(hits: use.hits, misses: use.misses, entries: use.cachedEntries, bytes: use.cachedBytes)
                (told.batches, told.texts, told.tokens) = (use.batches, use.embeddedTexts, use.embeddedTokens)
                (told.refused, told.interruptions) = (use.refused, use.interruptions)
                (told.waitingQueries, told.waitingPublishes) = (use.waitingQueries, use.waiting)
                return told
            }
            return ModelFolder(
                models: models, identity: loaded.identity, kernels: "\(loaded.matrixKernels), \(loaded.precision.rawValue)", close: { embedder.shutdown() })
        } catch {
            let reason = (error as? ContexError)?.message ?? "\(error)"
            throw ContexError(.modelUnusable, "model folder \(folder): \(reason)")
        }
    }

    private static func tokenRanks(_ folder: String) throws(ContexError) -> CL100KTokenizer {
        guard let data = FileManager.default.contents(atPath: folder + "/" + ranksName) else {
            throw ContexError(.modelUnusable, "\(ranksName) cannot be read; run tools/setup to fetch the model anew")
        }
        guard data.count <= ranksBytesMax else {
            throw ContexError(.modelUnusable, "\(ranksName) has \(data.count) bytes, at most \(ranksBytesMax) are expected")
        }
        do {
            return try CL100KTokenizer(ranks: [UInt8](data))
        } catch {
            throw ContexError(.modelUnusable, "\(error); run tools/setup to fetch the model anew")
        }
    }
}
