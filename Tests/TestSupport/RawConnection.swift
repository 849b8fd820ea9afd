internal import Foundation

/// A client that says exactly what it is told, byte for byte. Blocking, with a time limit: used off the pool only.
public final class RawConnection: Sendable {
    private let descriptor: Int32

    /// - Parameters:
    ///   - isIPv6: to ::1, else to 127.0.0.1.
    ///   - receiveBytes: what the kernel keeps for a client that does not read; nil leaves it to the kernel.
    public init(port: Int, isIPv6: Bool = false, receiveBytes: Int? = nil) throws {
        descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var bytes = receiveBytes.map(Int32.init) {
            unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        if isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = in_port_t(port).bigEndian
            address.sin6_addr = in6addr_loopback
            let result = unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
            guard result == 0 else { throw POSIXError(.ECONNREFUSED) }
            return
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw POSIXError(.ECONNREFUSED) }
    }

    deinit { close(descriptor) }

    /// Neither sends nor listens any more, also where another thread is at it.
    public func endAll() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Whether something can be read, within so many milliseconds.
    public func hasMore(within milliseconds: Int32) -> Bool {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&wanted, 1, milliseconds) > 0
    }

    /// Sends no more, and still listens.
    public func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// False when the other side is gone.
    @discardableResult
    public func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { unsafe Foundation.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
    @discardableResult
    public func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// What has come, until `isEnough` or the end; nil for an end without a byte.
    public func read(until isEnough: (String) -> Bool) -> String? {
        readBytes { isEnough(String(decoding: $0, as: UTF8.self)) }.map { String(decoding: $0, as: UTF8.self) }
    }

    public func readBytes(until isEnough: ([UInt8]) -> Bool) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count <= 0 { return bytes.isEmpty ? nil : bytes }
            bytes += buffer[..<count]
            if isEnough(bytes) { return bytes }
        }
    }

    /// What has come, at least a byte; nil at the end, and when nothing comes for too long.
    public func next() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        return count > 0 ? Array(buffer[..<count]) : nil
    }

    /// One answer with its body, by its Content-Length.
    public func answer() -> String? {
        read { text in
            guard let end = text.firstRange(of: "\r\n\r\n") else { return false }
            let head = text[..<end.lowerBound].lowercased()
            guard let length = head.firstRange(of: "content-length: ") else { return true }
            let digits = head[length.upperBound...].prefix { $0.isNumber }
            return text[end.upperBound...].utf8.count >= Int(digits)!
        }
    }
}
