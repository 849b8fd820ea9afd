// One try of one delivery. The order is what makes it safe: resolve, judge every address, connect to an address that passed,
// and to nothing else.
//
// The client is told the address by `dnsOverride` (async-http-client 1.37.0, ConnectionPool.swift, `applyDNSOverride`): the
// connection's target becomes the address, so that nothing is looked up a second time (and cannot answer otherwise the second
// time), while the name stays what TLS asks for (SNI) and what the certificate must be valid for. The override applies when
// the host that the client reads in the URL is the one overridden; so the URL is written anew from checked parts, and read
// back by the client's own parser before it is used.

internal import Addresses
internal import AsyncHTTPClient
internal import Base
internal import FoundationEssentials
internal import Glibc
internal import NIOCore
internal import NIOHTTP1

/// A client that can connect to one address only. Lives while an agent's deliveries follow each other, and then is closed.
struct PinnedClient {
    struct Pin: Equatable {
        let url: WebhookURL
        let address: IPAddress
    }
    let pin: Pin
    let client: HTTPClient

    func shutdown() async { try? await client.shutdown() }
}

struct WebhookClient: Sendable {
    /// How a try ended, and the beginning of what was answered.
    struct Attempt {
        let outcome: AttemptOutcome
        var body: [UInt8] = []
    }

    let configuration: WebhookConfiguration
    let resolver: any NameResolver
    let group: any EventLoopGroup

    /// Bytes of an answer that are read so that the connection can be used again; with more it is closed.
    private static let answerBytesMax = 4_096
    /// Addresses of one host that one try may knock at.
    private static let addressesMax = 4

    /// - Parameters:
    ///   - attempt: tries made before; a later try begins with the next address.
    ///   - connection: of the delivery before; replaced when it leads elsewhere.
    ///   - timeout: from the lookup of the name to the answer's head.
    func post(
        _ message: WebhookMessage, to url: WebhookURL, attempt: Int, timeout: Duration, over connection: inout PinnedClient?
    ) async -> Attempt {
        let deadline = ContinuousClock.now + timeout
        var addresses: [IPAddress]
        switch url.host {
        case .address(let address):
            addresses = [address]
        case .name(let name):
            do {
                addresses = try await resolver.addresses(of: name, within: timeout)
            } catch let error as ResolutionError where error.isTimeout {
                return Attempt(outcome: .timedOut)
            } catch {
                return Attempt(outcome: .unreachable("\(error)"))
            }
        }
        let permitted = addresses.filter(configuration.allow.permits)
        guard !permitted.isEmpty else {
            let found = addresses.prefix(Self.addressesMax).map(\.description).joined(separator: ", ")
            return Attempt(
                outcome: .forbidden(
                    "\(url.hostText) has no public address (\(found.isEmpty ? "none at all" : found)): "
                        + "allow its network in CONTEX_WEBHOOK_ALLOW if it is meant"))
        }
        let first = attempt % permitted.count
        addresses = Array((permitted[first...] + permitted[..<first]).prefix(Self.addressesMax))
        var outcome = AttemptOutcome.timedOut
        for address in addresses {
            let remaining = deadline - .now
            guard remaining > .zero else { return Attempt(outcome: .timedOut) }
            let pin = PinnedClient.Pin(url: url, address: address)
            if connection?.pin != pin {
                await connection?.shutdown()
                connection = pinned(pin, timeout)
            }
            do {
                return try await send(message, to: url, over: connection!, until: deadline)
            } catch {
                outcome = Self.outcome(of: error)
                guard Self.neverConnected(error) else { return Attempt(outcome: outcome) }
            }
        }
        return Attempt(outcome: outcome)
    }

    // MARK: - The request

    private func pinned(_ pin: PinnedClient.Pin, _ timeout: Duration) -> PinnedClient {
        var settings = HTTPClient.Configuration()
        settings.redirectConfiguration = .disallow
        settings.httpVersion = .http1Only
        settings.timeout = .init(connect: TimeAmount(timeout), read: TimeAmount(timeout))
        settings.connectionPool.retryConnectionEstablishment = false
        settings.guardAnswers()
        if case .name(let name) = pin.url.host { settings.dnsOverride = [name: pin.address.description] }
        return PinnedClient(pin: pin, client: HTTPClient(eventLoopGroupProvider: .shared(group), configuration: settings))
    }

    private func send(
        _ message: WebhookMessage, to url: WebhookURL, over connection: PinnedClient, until deadline: ContinuousClock.Instant
    ) async throws -> Attempt {
        guard let host = URL(string: url.text)?.host, host == url.hostText || "[\(host)]" == url.hostText else {
            return Attempt(outcome: .forbidden("the client reads another host than \(url.hostText) in the URL"))
        }
        var request = HTTPClientRequest(url: url.text)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: configuration.userAgent)
        for (name, value) in message.headers { request.headers.add(name: name, value: value) }
        request.body = .bytes(ByteBuffer(bytes: message.body))
        let response = try await connection.client.execute(request, timeout: TimeAmount(deadline - .now))
        let answer = await Self.beginning(of: response.body, until: deadline)
        let retryAfter = response.headers.first(name: "Retry-After").flatMap { RetryPolicy.retryAfter($0, now: configuration.clock.now()) }
        return Attempt(outcome: .answered(status: Int(response.status.code), retryAfter: retryAfter), body: answer)
    }

    /// Reads a short answer to its end, so that the connection can be used again, and gives its first bytes. The status is known and
    /// decides, so nothing that goes wrong here matters: the connection is closed then.
    private static func beginning(of body: HTTPClientResponse.Body, until deadline: ContinuousClock.Instant) async -> [UInt8] {
        await withTaskGroup(of: [UInt8]?.self) { group in
            group.addTask {
                var (count, first) = (0, [UInt8]())
                do {
                    for try await chunk in body {
                        count += chunk.readableBytes
                        first += chunk.readableBytesView.prefix(Limits.deliveryAnswerBytes - first.count)
                        if count > answerBytesMax { break }
                    }
                } catch {}
                return first
            }
            group.addTask {
                try? await Task.sleep(until: deadline, clock: .continuous)
                return nil
            }
            let first = await group.next()
            group.cancelAll()
            return (first ?? nil) ?? []
        }
    }

    private static func outcome(of error: any Error) -> AttemptOutcome {
        if let error = error as? HTTPClientError, [.deadlineExceeded, .connectTimeout, .readTimeout].contains(error) { return .timedOut }
        if error is CancellationError { return .unreachable("the server is stopping") }
        if error is HTTPParserError { return .broken("the receiver's answer is no HTTP") }
        if (error as? HTTPClientError) == .remoteConnectionClosed || [ECONNRESET, EPIPE].contains((error as? IOError)?.errnoCode) {
            return .broken("the receiver closed the connection before it had answered")
        }
        return .unreachable("\(error)")
    }

    /// Nothing was sent, so another address may be tried.
    private static func neverConnected(_ error: any Error) -> Bool {
        guard let error = error as? IOError else { return false }
        return [ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT].contains(error.errnoCode)
    }
}
