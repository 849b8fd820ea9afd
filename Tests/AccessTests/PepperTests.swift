import Access
import Base
import Foundation
import Testing
import TestSupport

@Suite struct PepperTests {
    let folder = TemporaryFolder()
    var path: String { folder.path + "/pepper" }

    func setMode(_ mode: Int) throws { try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path) }

    @Test func madeOnceAndReadAgain() throws {
        let first = try Pepper.loadOrCreate(path: path)
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(attributes[.size] as? Int == 32)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["pepper"])
        let second = try Pepper.loadOrCreate(path: path)
        #expect(first.id == second.id)
        #expect(first.hash("key") == second.hash("key"))
        #expect(try Pepper(path: path).id == first.id)
        #expect(try Pepper().id != first.id)
        #expect(try Pepper().hash("key") != first.hash("key"))
    }

    @Test func manyStartsAtOnceAgree() async throws {
        let path = path
        let ids = await withTaskGroup(of: PepperID?.self) { group in
            for _ in 0..<32 { group.addTask { try? Pepper.loadOrCreate(path: path).id } }
            return await group.reduce(into: [PepperID?]()) { $0.append($1) }
        }
        #expect(ids.count == 32 && ids[0] != nil && Set(ids).count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["pepper"])
    }

    @Test(arguments: [0o640, 0o604, 0o644, 0o660, 0o610, 0o601, 0o777])
    func othersMustNotReachIt(mode: Int) throws {
        let id = try Pepper.loadOrCreate(path: path).id
        try setMode(mode)
        let error = #expect(throws: ContexError.self) { try Pepper.loadOrCreate(path: path) }
        #expect(error?.category == .badRequest)
        #expect(error?.message.contains("chmod 600 '\(path)'") == true)
        #expect(error?.message.contains(String(mode, radix: 8)) == true)
        try setMode(0o400)
        #expect(try Pepper.loadOrCreate(path: path).id == id)
    }

    @Test(arguments: [0, 1, 31, 33, 64]) func wrongLengthIsRefused(length: Int) throws {
        try Data(repeating: 7, count: length).write(to: URL(fileURLWithPath: path))
        try setMode(0o600)
        let error = #expect(throws: ContexError.self) { try Pepper.loadOrCreate(path: path) }
        #expect(error?.category == .badRequest)
        #expect(error?.message.contains("\(length) bytes") == true)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count == length)
    }

    @Test func whatIsNoFile() throws {
        let missing = #expect(throws: ContexError.self) { try Pepper(path: path) }
        #expect(missing?.category == .notFound)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        #expect(throws: ContexError.self) { try Pepper.loadOrCreate(path: path) }
        let nowhere = #expect(throws: ContexError.self) { try Pepper.loadOrCreate(path: folder.path + "/none/pepper") }
        #expect(nowhere?.category == .unavailable)
    }
}
