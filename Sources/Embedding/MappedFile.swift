internal import Base
#if canImport(Glibc)
internal import Glibc
#endif

/// A file in memory, read-only and shared with the page cache. The file must not be cut while it is open; the model folder
/// is written once, by tools/setup, which replaces files by renaming.
///
/// `@unchecked Sendable`: the bytes are never written and stay until the object goes.
@safe final class MappedFile: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer

    /// - Parameter name: how errors call the file.
    init(path: String, name: String) throws(ContexError) {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw modelFolderError("\(name) cannot be opened (\(unsafe String(cString: strerror(errno))))") }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw modelFolderError("\(name) is no regular file")
        }
        let size = Int(status.st_size)
        guard size > 0 else { throw modelFolderError("\(name) is empty") }
        let address = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else {
            throw modelFolderError("\(name) cannot be mapped (\(unsafe String(cString: strerror(errno))))")
        }
        unsafe bytes = UnsafeRawBufferPointer(start: address, count: size)
    }

    deinit { unsafe munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count) }
}

/// A small file of the model folder as a whole.
func readModelFile(_ folder: String, _ name: String, atMost limit: Int) throws(ContexError) -> [UInt8] {
    let file = try MappedFile(path: folder + "/" + name, name: name)
    guard unsafe file.bytes.count <= limit else { throw modelFolderError("\(name) has \(unsafe file.bytes.count) bytes, at most \(limit) are expected") }
    return unsafe Array(file.bytes)
}

/// What a model folder that is not as it should be gives: one line that names the file and the remedy.
func modelFolderError(_ what: String) -> ContexError {
    ContexError(.modelUnusable, "the model folder is not usable: \(what); run tools/setup to fetch the model anew")
}
