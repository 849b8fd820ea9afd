// Where the shared fixtures are, and what a test says when they are not there.
public import Foundation
internal import Synchronization

public enum TestData {
    /// `CONTEX_TEST_DATA`, or ../shared/data beside the checkout. Nil when that folder does not exist.
    public static let root: URL? = {
        let named = ProcessInfo.processInfo.environment["CONTEX_TEST_DATA"]
        let url = named.map { URL(fileURLWithPath: $0) } ?? checkout.deletingLastPathComponent().appendingPathComponent("shared/data")
        return FileManager.default.fileExists(atPath: url.path) ? url : nil
    }()

    /// The checkout's top folder.
    public static let checkout = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The model folder that tools/setup unpacked, nil when it is not there.
    public static let model: URL? = {
        let named = ProcessInfo.processInfo.environment["CONTEX_MODEL_DIR"]
        let url = named.map { URL(fileURLWithPath: $0) } ?? checkout.appendingPathComponent(".models/all-MiniLM-L6-v2")
        return FileManager.default.fileExists(atPath: url.appendingPathComponent("model.safetensors").path) ? url : nil
    }()

    /// For `.enabled(if:)`: says once on standard error why a suite does not run.
    public static func available(_ url: URL?, _ what: String) -> Bool {
        if url == nil { FileHandle.standardError.write(Data("skipped: \(what) is not there\n".utf8)) }
        return url != nil
    }
    public static var hasData: Bool { available(root, "the shared data (CONTEX_TEST_DATA)") }
    public static var hasModel: Bool { available(model, "the model folder (tools/setup unpacks it)") }

    public static func file(_ path: String) throws -> Data { try Data(contentsOf: root!.appendingPathComponent(path)) }
}

/// A folder that goes away with the test, or with the process when somebody keeps it for ever: a static store, an object that a
/// task has not let go of.
public final class TemporaryFolder: Sendable {
    public let url: URL
    public init() {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("contex-test-\(UUID().uuidString)")
        try! FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        OpenFolders.add(url)
    }
    deinit { OpenFolders.remove(url) }
    public var path: String { url.path }
}

private enum OpenFolders {
    private static let urls = Mutex<Set<URL>>([])
    /// Once, when the first folder is made.
    private static let removesAtExit = atexit { OpenFolders.removeAll() }

    static func add(_ url: URL) {
        precondition(removesAtExit == 0, "nobody will remove temporary folders at the end")
        urls.withLock { _ = $0.insert(url) }
    }

    static func remove(_ url: URL) {
        urls.withLock { _ = $0.remove(url) }
        try? FileManager.default.removeItem(at: url)
    }

    static func removeAll() { for url in urls.withLock({ $0 }) { try? FileManager.default.removeItem(at: url) } }
}

/// The seed of a random test: `CONTEX_TEST_SEED`, or a fresh one; printed, so that a failure can be run again.
public func testSeed(_ name: String) -> UInt64 {
    let seed = ProcessInfo.processInfo.environment["CONTEX_TEST_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)
    print("\(name): seed \(seed)")
    return seed
}
