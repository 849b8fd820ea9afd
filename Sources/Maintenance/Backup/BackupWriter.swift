// A backup while it is made: in a folder of another name, which gets its own when all of it is on the disk.
//
//     whoever reads the store   ->   at most 4 blocks   ->   one thread: compress, encrypt, sum, write
//
// so that the snapshot is held for as long as the slower of both takes, not for their sum.

internal import Archives
internal import Base
internal import Dispatch
internal import Hashing
internal import Synchronization

final class BackupWriter: Sendable {
    private struct State: ~Copyable {
        var sealer: BlockSealer
        var file: OpenFile?
        var fileBytes = 0
        /// Blocks of each file.
        var files: [Int] = []
        var blocks: [BackupBlock] = []
        var failure: ContexError?
    }

    let id: BackupID
    private let key: BackupKey?
    private let folder: String
    private let partial: String
    private let state: Mutex<State>
    private let queue = DispatchQueue(label: "contex.backup")
    private let room = DispatchSemaphore(value: 4)

    /// - Parameter folder: locked by the caller.
    init(in folder: String, id: BackupID, key: BackupKey?) throws(ContexError) {
        self.id = id
        self.key = key
        self.folder = folder
        partial = folder + "/" + BackupFolder.partialPrefix + id.description
        state = Mutex(State(sealer: BlockSealer(id: id, key: key)))
        try BackupFiles.makeFolder(partial)
    }

    /// Takes the next block; waits while too many are not written yet.
    /// - Throws: why one before could not be written.
    func write(_ plain: [UInt8]) throws(ContexError) {
        room.wait()
        if let failure = state.withLock({ $0.failure }) {
            room.signal()
            throw failure
        }
        queue.async { [self] in
            seal(plain)
            room.signal()
        }
    }

    private func seal(_ plain: [UInt8]) {
        state.withLock { state in
            guard state.failure == nil else { return }
            do throws(ContexError) {
                guard state.blocks.count < Limits.backupBlocks else {
                    throw ContexError(.tooLarge, "the store has more than \(Limits.backupBlocks) blocks of \(Limits.backupBlockBytes >> 10) KiB")
                }
                let (stored, block) = state.sealer.seal(plain, at: .data(state.blocks.count))
                if state.fileBytes + stored.count > Limits.backupFileBytes, state.fileBytes > 0 {
                    try state.file?.flush()
                    state.file = nil
                }
                if state.file == nil {
                    state.file = try OpenFile(making: partial + "/" + BackupFolder.dataName(state.files.count + 1))
                    state.fileBytes = 0
                    state.files.append(0)
                }
                try state.file?.append(stored)
                state.fileBytes += stored.count
                state.files[state.files.count - 1] += 1
                state.blocks.append(block)
            } catch {
                state.failure = error
            }
        }
    }

    /// Waits until all is written.
    private func drain() throws(ContexError) -> (files: [Int], blocks: [BackupBlock]) {
        queue.sync {}
        let outcome: Result<(files: [Int], blocks: [BackupBlock]), ContexError> = state.withLock { state in
            if let failure = state.failure { return .failure(failure) }
            do throws(ContexError) { try state.file?.flush() } catch { return .failure(error) }
            state.file = nil
            return .success((state.files, state.blocks))
        }
        return try outcome.get()
    }

    /// Writes the manifest, and gives the backup its name.
    /// - Parameters:
    ///   - secrets: the files beside the store.
    ///   - manifest: makes it of the files and blocks.
    func finish(
        as name: String, secrets: [(name: String, bytes: [UInt8])]?,
        _ manifest: (_ files: [Int], _ blocks: [BackupBlock], _ secrets: BackupBlock?) -> BackupManifest
    ) throws(ContexError) -> BackupManifest {
        let (files, blocks) = try drain()
        var secretsBlock: BackupBlock?
        if let secrets {
            var writer = ByteWriter()
            for secret in secrets {
                writer.text(secret.name)
                writer.blob(secret.bytes)
            }
            let (stored, block) = state.withLock { $0.sealer.seal(writer.bytes, at: .secrets) }
            try BackupFiles.write(stored, to: partial + "/" + BackupFolder.secretsName)
            secretsBlock = block
        }
        let made = manifest(files, blocks, secretsBlock)
        try BackupFiles.write(made.encode(key: key), to: partial + "/" + BackupFolder.manifestName)
        try BackupFiles.flush(folder: partial)
        try BackupFiles.rename(partial, to: folder + "/" + name)
        try BackupFiles.flush(folder: folder)
        return made
    }

    /// Nothing of it stays.
    func discard() {
        queue.sync {}
        state.withLock { $0.file = nil }
        try? BackupFiles.removeTree(partial)
    }
}
