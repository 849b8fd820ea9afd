import Base
import Engine
import Foundation
import TestSupport
import Testing

/// Nobody but its owner looks into a data folder.
@Suite struct DataFolderTests {
    private func mode(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    private func open(_ folder: String) throws -> Database {
        var configuration = DatabaseConfiguration(directory: folder)
        configuration.mapBytes = 1 << 30
        return try Database(configuration: configuration, models: WordHash.models)
    }

    @Test func aNewOneIsItsOwners() async throws {
        let place = TemporaryFolder()
        let folder = place.path + "/new/data"
        let database = try open(folder)
        for path in ["/new", "/new/data", "/new/data/store"] { #expect(try mode(place.path + path) == 0o700, "\(path)") }
        let files = try FileManager.default.subpathsOfDirectory(atPath: folder).filter { $0 != "store" }
        for path in files { #expect(try mode(folder + "/" + path) == 0o600, "\(path)") }
        #expect(files.count >= 3)
        #expect(database.folderRemarks.isEmpty)
        await database.close()
    }

    @Test func ofAnOldOneTheStoreIsClosed() async throws {
        let place = TemporaryFolder()
        let folder = place.path + "/data"
        for path in [folder, folder + "/store"] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        let database = try open(folder)
        // The folder may be somebody's home: of it is only told, with the very command.
        #expect(try mode(folder) == 0o755 && mode(folder + "/store") == 0o700)
        #expect(database.folderRemarks.count == 1 && database.folderRemarks[0].contains("chmod 700 '\(folder)'"))
        await database.close()
    }

    @Test func whatIsNoFolderIsRefused() throws {
        let place = TemporaryFolder()
        try Data("in the way".utf8).write(to: URL(fileURLWithPath: place.path + "/file"))
        for path in ["/file", "/file/data"] {
            let error = #expect(throws: ContexError.self) { try open(place.path + path) }
            #expect(error?.category == .unavailable && error?.message.contains(place.path + path) == true)
        }
    }
}
