internal import ArgumentParser
internal import Maintenance

/// Where the key of encrypted backups comes from.
struct BackupKeyOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A file with the key of encrypted backups: 32 bytes, or 64 hexadecimal digits.", valueName: "file"))
    var encryptKeyFile: String?

    @Option(help: ArgumentHelp("A file whose first line is the passphrase of encrypted backups.", valueName: "file"))
    var passphraseFile: String?

    func validate() throws {
        if encryptKeyFile != nil, passphraseFile != nil { throw ValidationError("Give a key file or a passphrase file, not both.") }
    }

    /// nil when none is given.
    func secret() throws -> BackupSecret? {
        if let encryptKeyFile { return try .keyFile(encryptKeyFile) }
        return try passphraseFile.map { try .passphraseFile($0) }
    }
}
