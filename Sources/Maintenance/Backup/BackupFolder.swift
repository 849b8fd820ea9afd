// A folder with backups: each a folder of its own, whose name says its number and kind, and in it a manifest and files of blocks.
//
//     00000001-full/        manifest  data-00001  data-00002 ...  secrets
//     00000002-increment/   manifest  data-00001
//     partial-6f0c.../      one that is being made, or was when its process was killed: no backup
//
// docs/formats/backup-v1.md

public import Archives
public import Base

public struct BackupFolder: Sendable {
    public struct Entry: Sendable {
        public let name: String
        public let number: Int
        public let manifest: BackupManifest
        let signature: BackupSignature
        let path: String
    }

    public let path: String
    /// By number.
    public let backups: [Entry]
    /// Names of what was not finished.
    public let unfinished: [String]
    /// Backups whose manifest cannot be read.
    public let damaged: [(name: String, number: Int, error: ContexError)]

    private let places: [BackupID: Int]

    static let manifestName = "manifest"
    static let secretsName = "secrets"
    static let partialPrefix = "partial-"

    static func dataName(_ number: Int) -> String { "data-" + padded(number, 5) }
    static func name(_ number: Int, isFull: Bool) -> String { padded(number, 8) + (isFull ? "-full" : "-increment") }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    /// The number that a name says; nil for other names.
    private static func number(_ name: String) -> Int? {
        guard let dash = name.firstIndex(of: "-"), let number = Int(name[..<dash]), number > 0 else { return nil }
        return name == Self.name(number, isFull: true) || name == Self.name(number, isFull: false) ? number : nil
    }

    /// - Throws: `.notFound` when there is no such folder; `.tooLarge` for one with too many backups.
    /// - Complexity: O(manifests), each of which is read.
    public init(_ path: String) throws(ContexError) {
        var (backups, unfinished, damaged): ([Entry], [String], [(name: String, number: Int, error: ContexError)]) = ([], [], [])
        for name in try BackupFiles.names(in: path) {
            if name.hasPrefix(Self.partialPrefix) { unfinished.append(name) }
            guard let number = Self.number(name) else { continue }
            guard backups.count + damaged.count < Limits.backupsPerFolder else {
                throw ContexError(.tooLarge, "\(path) has over \(Limits.backupsPerFolder) backups: begin another folder")
            }
            let place = path + "/" + name
            do throws(ContexError) {
                let bytes = try BackupFiles.read(place + "/" + Self.manifestName, bytesMax: Limits.backupManifestBytes)
                let (manifest, signature) = try BackupManifest.decode(bytes)
                guard name == Self.name(number, isFull: manifest.isFull) else { throw .damaged("its manifest is of another kind of backup") }
                backups.append(Entry(name: name, number: number, manifest: manifest, signature: signature, path: place))
            } catch {
                damaged.append((name, number, ContexError(error.code == .formatUnknown ? .formatUnknown : .damaged, "backup \(name): \(error.message)")))
            }
        }
        self.path = path
        self.backups = backups.sorted { $0.number < $1.number }
        places = Dictionary(self.backups.enumerated().map { ($1.manifest.id, $0) }) { first, _ in first }
        self.unfinished = unfinished
        self.damaged = damaged.sorted { $0.number < $1.number }
    }

    /// The backup that an increment follows; nil for a full one.
    /// - Throws: `.damaged` when it is not there, or the increment does not go on from it.
    func before(_ entry: Entry) throws(ContexError) -> Entry? {
        guard case .increment(let follows, let from, let baseLink) = entry.manifest.content else { return nil }
        guard let before = places[follows].map({ backups[$0] }), before.number < entry.number else {
            let gone = damaged.isEmpty ? "" : "; it may be one that cannot be read: \(damaged.map(\.name).joined(separator: ", "))"
            throw .damaged("backup \(entry.name) follows backup \(follows), which is not in \(path)\(gone)")
        }
        guard before.manifest.to == from, before.manifest.link == baseLink else {
            throw .damaged("backup \(entry.name) does not go on from where \(before.name) ends, at position \(before.manifest.to.position)")
        }
        return before
    }

    /// The full backup, and the increments after it until this one.
    /// - Throws: `.damaged` when one of them is not there, or does not go on from the one before.
    func chain(to entry: Entry) throws(ContexError) -> [Entry] {
        var chain = [entry]
        while let next = try before(chain[chain.count - 1]) { chain.append(next) }
        return chain.reversed()
    }
}
