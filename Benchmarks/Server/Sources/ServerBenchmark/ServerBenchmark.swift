// ServerBenchmark WIRE-PORT HTTP-PORT PROJECT SECONDS < queries, a line each
//
// Prints a line a measurement: name, rate a second, p50 and p99 in milliseconds.

import Base
import Foundation
import Wire

/// A blocking socket to this machine.
final class Socket {
    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    init(port: Int) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        precondition(result == 0, "nobody listens on port \(port)")
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close(descriptor) }

    func write(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            precondition(count > 0, "the server has closed the connection")
            sent += count
        }
    }

    func read() -> ArraySlice<UInt8> {
        let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        precondition(count > 0, "the server has closed the connection")
        return buffer[..<count]
    }
}

/// One connection that asks a query and waits for the answer.
protocol Asker: SendableMetatype {
    mutating func ask(_ query: String)
}

struct BinaryAsker: Asker {
    private let socket: Socket
    private let project: String
    private var decoder = FrameDecoder(payloadMax: 1 << 20, expectingPreface: false)
    private var assembler = MessageAssembler(bytesMax: 16 << 20, partialMax: 16)
    private var stream: UInt32 = 0

    init(port: Int, project: String) {
        socket = Socket(port: port)
        self.project = project
        var hello = WireHello()
        (hello.versionMin, hello.versionMax, hello.client) = (1, 1, "benchmark")
        var bytes = Frame.preface
        Frame.append(.hello, stream: 0, hello.encoded[...], to: &bytes)
        socket.write(bytes)
        precondition(next().kind == .welcome)
    }

    private mutating func next() -> Frame {
        while true {
            while let frame = try! decoder.next() {
                if let whole = try! assembler.take(frame) { return whole }
            }
            decoder.feed(socket.read())
        }
    }

    mutating func ask(_ query: String) {
        var message = WireQuery(project: project, text: query)
        (message.topK, message.threshold) = (10, 0)
        stream += 1
        var bytes: [UInt8] = []
        Frame.append(.request, stream: stream, WireRequest(.query, body: message.encoded).encoded[...], to: &bytes)
        socket.write(bytes)
        let answer = next()
        precondition(answer.kind == .answer && answer.stream == stream, "\(answer.kind)")
        precondition(try! !WireQueryAnswer(decoding: answer.payload).matches.isEmpty, "no match for '\(query)'")
    }

    /// Pings in bursts, each as many bytes as a client may well send at once; returns how many were answered.
    mutating func ping(for seconds: Double, at once: Int) -> Int {
        var burst: [UInt8] = []
        for number in 0..<once { Frame.append(.ping, stream: 0, withUnsafeBytes(of: UInt64(number)) { Array($0) }[...], to: &burst) }
        let end = ContinuousClock.now + .seconds(seconds)
        var count = 0
        socket.write(burst)
        while ContinuousClock.now < end {
            // One burst is always on its way.
            socket.write(burst)
            for _ in 0..<once { precondition(next().kind == .pong) }
            count += once
        }
        for _ in 0..<once { precondition(next().kind == .pong) }
        return count + once
    }
}

struct HTTPAsker: Asker {
    private let socket: Socket
    private let head: String
    private var bytes: [UInt8] = []

    init(port: Int, project: String) {
        socket = Socket(port: port)
        head = "POST /api/v1/projects/\(project)/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    }

    mutating func ask(_ query: String) {
        let text = query.filter { $0 != "\"" && $0 != "\\" }
        let body = "{\"query\":\"\(text)\",\"top_k\":10,\"threshold\":0,\"response_format\":\"json\"}"
        socket.write(Array("\(head)\(body.utf8.count)\r\n\r\n\(body)".utf8))
        bytes.removeAll(keepingCapacity: true)
        var wanted: Int?
        while bytes.count < wanted ?? .max {
            bytes += socket.read()
            if wanted == nil, let end = Self.headEnd(bytes) {
                let text = String(decoding: bytes[..<end], as: UTF8.self).lowercased()
                precondition(text.hasPrefix("http/1.1 200"), text)
                let length = text.split(separator: "\r\n").first { $0.hasPrefix("content-length: ") }!.dropFirst(16)
                wanted = end + Int(length)!
            }
        }
        precondition(bytes.count > 100)
    }

    private static func headEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for place in 0...bytes.count - 4 where bytes[place] == 13 && bytes[place + 1] == 10 && bytes[place + 2] == 13 && bytes[place + 3] == 10 {
            return place + 4
        }
        return nil
    }
}

/// Seconds of each question, of all threads.
final class Times: @unchecked Sendable {
    // Each thread has a place of its own, and they are read when all have ended.
    var ofThread: [[Double]]
    init(_ count: Int) { ofThread = Array(repeating: [], count: count) }
}

/// A line that is there at once, also in a pipe.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

func measure<A: Asker>(_ name: String, connections: Int, seconds: Double, _ queries: [String], _ make: @escaping @Sendable () -> A) {
    let lock = NSLock()
    let times = Times(connections)
    let started = ContinuousClock.now
    let end = started + .seconds(seconds)
    let group = DispatchGroup()
    for place in 0..<connections {
        group.enter()
        Thread.detachNewThread {
            var asker = make()
            var own: [Double] = []
            var turn = place * 7
            while ContinuousClock.now < end {
                let before = ContinuousClock.now
                asker.ask(queries[turn % queries.count])
                own.append((ContinuousClock.now - before) / .seconds(1))
                turn += 1
            }
            lock.withLock { times.ofThread[place] = own }
            group.leave()
        }
    }
    group.wait()
    let all = times.ofThread.flatMap { $0 }.sorted()
    let rate = Double(all.count) / ((ContinuousClock.now - started) / .seconds(1))
    func percentile(_ share: Double) -> String { String(format: "%.3f", 1_000 * all[min(all.count - 1, Int(Double(all.count) * share))]) }
    say("\(name)\t\(Int(rate))\t\(percentile(0.5))\t\(percentile(0.99))")
}

@main struct ServerBenchmark {
    static func main() {
        let arguments = CommandLine.arguments
        guard arguments.count == 5, let wire = Int(arguments[1]), let http = Int(arguments[2]), let seconds = Double(arguments[4]) else {
            print("usage: ServerBenchmark WIRE-PORT HTTP-PORT PROJECT SECONDS < queries")
            exit(2)
        }
        let project = arguments[3]
        var queries: [String] = []
        while let line = readLine() { queries.append(line) }
        precondition(!queries.isEmpty, "no queries")

        var pinger = BinaryAsker(port: wire, project: project)
        _ = pinger.ping(for: 0.5, at: 512)
        let started = ContinuousClock.now
        let count = pinger.ping(for: seconds, at: 512)
        say("pings, one connection, pipelined\t\(Int(Double(count) / ((ContinuousClock.now - started) / .seconds(1))))\t-\t-")
    
        // Every vector is known from here on.
        var warm = BinaryAsker(port: wire, project: project)
        for query in queries { warm.ask(query) }
        for connections in [8, 1] {
            let how = connections == 1 ? "one connection, one at a time" : "\(connections) connections"
            // In turns, so that both meet the same machine.
            for _ in 0..<2 {
                measure("queries over HTTP, \(how)", connections: connections, seconds: seconds, queries) { HTTPAsker(port: http, project: project) }
                measure("queries over binary, \(how)", connections: connections, seconds: seconds, queries) { BinaryAsker(port: wire, project: project) }
            }
        }
    }
}
