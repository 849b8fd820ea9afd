// What the kernel knows of this process, under the names that every Prometheus client uses.

public import Measures

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Glibc

public enum ProcessFigures {
    private static let pageBytes = Double(sysconf(Int32(_SC_PAGESIZE)))
    private static let ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))

    /// Bytes of memory that are in use.
    public static var residentBytes: Double? { fields.map { $0[21] * pageBytes } }

    /// Fields of /proc/self/stat behind the name of the program, of which the first is the state.
    private static var fields: [Double]? {
        guard let text = read("/proc/self/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ").map { Double($0) ?? 0 }
        return fields.count > 21 ? fields : nil
    }

    private static func read(_ path: String) -> String? { (try? String(contentsOfFile: path, encoding: .utf8)) }

    /// When this process began, in seconds since 1970.
    private static let startTime: Double? = {
        guard let fields, let stat = read("/proc/stat"), let line = stat.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
            let booted = Double(line.dropFirst(6))
        else { return nil }
        return booted + fields[19] / ticksPerSecond
    }()

    public static func measure(_ registry: MeasureRegistry) {
        registry.counter("process_cpu_seconds", "Time on processors, of user and system", reading: { fields.map { ($0[11] + $0[12]) / ticksPerSecond } })
        registry.gauge("process_resident_memory_bytes", "Memory in use") { residentBytes }
        registry.gauge("process_virtual_memory_bytes", "Address space in use; the map of the store is a part of it") { fields.map { $0[20] } }
        registry.gauge("process_threads", "Threads") { fields.map { $0[17] } }
        registry.gauge("process_open_fds", "Open file descriptors") {
            (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count).map { Double($0) }
        }
        registry.gauge("process_max_fds", "File descriptors that may be open") {
            var limit = rlimit()
            guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
            return Double(limit.rlim_cur)
        }
        registry.gauge("process_start_time_seconds", "When the process began, since 1970") { startTime }
    }

    /// The file system under a folder: bytes of it, and those that are free for this user.
    public static func disk(_ folder: String) -> (bytes: Double, free: Double)? {
        var status = statvfs()
        guard unsafe statvfs(folder, &status) == 0 else { return nil }
        return (Double(status.f_blocks) * Double(status.f_frsize), Double(status.f_bavail) * Double(status.f_frsize))
    }

    public static func measureDisk(_ folder: String, _ registry: MeasureRegistry) {
        registry.gauge("contex_disk_bytes", "Size of the file system of the data folder") { disk(folder)?.bytes }
        registry.gauge("contex_disk_free_bytes", "What is free of it for the server") { disk(folder)?.free }
    }
}
