// Makes the last write of a commit fail, as a disk does that is full or broken, without a word to LMDB.
internal import Glibc

public enum MetaPages {
    /// LMDB writes meta pages through a descriptor of their own, opened with O_DSYNC. Each of the store in this folder is made one of
    /// /dev/full, to which every write fails with ENOSPC. A store that is opened later has descriptors of its own again.
    /// - Returns: how many there were.
    public static func failWrites(in folder: String) -> Int {
        let full = unsafe open("/dev/full", O_WRONLY | O_CLOEXEC)
        defer { close(full) }
        var count = 0
        for descriptor in 3..<Int32(4_096) where descriptor != full {
            let flags = fcntl(descriptor, F_GETFL)
            guard flags >= 0, flags & O_DSYNC != 0, flags & O_ACCMODE == O_WRONLY else { continue }
            var target = [UInt8](repeating: 0, count: 4_096)
            let length = unsafe target.withUnsafeMutableBytes {
                unsafe readlink("/proc/self/fd/\(descriptor)", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
            guard length > 0, String(decoding: target[..<length], as: UTF8.self) == real(folder) + "/data.mdb" else { continue }
            if dup2(full, descriptor) == descriptor { count += 1 }
        }
        return count
    }

    private static func real(_ path: String) -> String {
        guard let found = unsafe realpath(path, nil) else { return path }
        defer { unsafe free(found) }
        return unsafe String(cString: found)
    }
}
