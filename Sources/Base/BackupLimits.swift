/// Bounds of backups (docs/formats/backup-v1.md).
extension Limits {
    /// Bytes of a block before it is compressed: what is read, proved and held at a time.
    public static let backupBlockBytes = 1 << 20
    /// Bytes of a file of blocks: when a file has as many, the next begins. A size that any file system and any object store takes.
    public static let backupFileBytes = 256 << 20
    /// Blocks of one backup: 4 TiB.
    public static let backupBlocks = 1 << 22
    /// Bytes of a manifest: 40 for each block, 12 for each file, and what else it says.
    public static let backupManifestBytes = 40 * backupBlocks + (1 << 20)
    /// Backups in one folder: one a minute for two months.
    public static let backupsPerFolder = 100_000
    /// Bytes of a passphrase.
    public static let passphraseBytes = 4_096
    /// Bytes of memory that deriving a key from a passphrase may take (scrypt: 128 x N x r).
    public static let keyDerivationBytes = 256 << 20
    /// Seconds for which a backup holds its snapshot before it says so, and by how many bytes the store's file has grown by then.
    public static let backupHoldSeconds = 60
    public static let backupGrowthBytes = 256 << 20
    /// Bytes that commands of one restore are applied in a transaction for, about.
    public static let restoreTransactionBytes = 64 << 20
}
