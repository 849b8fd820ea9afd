// The two ways to speak HTTP over a connection, as handlers before `HTTPConnection`.
//
//     HTTP/1.1   socket, TLS --> decoder, encoder --> pipelining --> HTTPConnection                    one request after the other
//     HTTP/2     socket, TLS --> frames --> management --> HTTPConnection                              has the connection's place, and no request
//                                  \\--> a stream: codec --> HTTPConnection                            a request
//
// A stream of HTTP/2 is one request, and counts as a connection of its address: so all bounds that hold for connections hold for streams, and
// what strangers can make the server keep is the same in both versions.

internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTP2
internal import TLS

enum HTTPVersions {
    /// Fields in the head of a request.
    private static let headersMax = 100
    /// Streams of one connection that are open at once. Each holds one window of what has come and is not read.
    private static let streamsMax: UInt32 = 100
    private static let windowBytes = 64 << 10
    /// How long what runs may take once the client or the server has said goodbye, and a client who does not answer to it may stay.
    private static let graceAtGoodbye = TimeAmount.minutes(1)

    static func speakOne(_ pipeline: ChannelPipeline.SynchronousOperations, before connection: HTTPConnection, _ house: HTTPConnection.House) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = house.configuration.headerBytesMax
        limits.maxHeaderListSize = house.configuration.headerBytesMax
        limits.maxHeaderFieldCount = headersMax
        try pipeline.configureHTTPServerPipeline(
            position: .before(connection), withPipeliningAssistance: true, withErrorHandling: false, withOutboundHeaderValidation: true,
            withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
    }

    /// Resets, settings, pings, errors and empty frames without end are bounded by the library's own rules: two hundred of each in half a minute.
    static func speakTwo(
        _ channel: any Channel, before connection: HTTPConnection, _ house: HTTPConnection.House, names: [String]
    ) throws {
        var connections = NIOHTTP2Handler.ConnectionConfiguration()
        connections.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: Int(streamsMax)),
            HTTP2Setting(parameter: .maxHeaderListSize, value: house.configuration.headerBytesMax),
            HTTP2Setting(parameter: .initialWindowSize, value: windowBytes),
        ]
        var streams = NIOHTTP2Handler.StreamConfiguration()
        streams.targetWindowSize = windowBytes
        let management = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: channel.eventLoop,
            configuration: .init(
                maxIdleTime: TimeAmount(house.configuration.idleTimeout), maxAge: nil, maxGraceTime: graceAtGoodbye,
                keepalive: nil))
        let frames = NIOHTTP2Handler(
            mode: .server, eventLoop: channel.eventLoop, connectionConfiguration: connections, streamConfiguration: streams,
            streamDelegate: management.http2StreamDelegate
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                let pipeline = stream.pipeline.syncOperations
                // A request reads when it has room for what comes.
                try stream.syncOptions?.setOption(.autoRead, value: false)
                try pipeline.addHandler(HTTP2FramePayloadToHTTP1ServerCodec())
                try pipeline.addHandler(HTTPConnection(house, ofStreamWith: names))
            }
        }
        try channel.pipeline.syncOperations.addHandlers([frames, management], position: .before(connection))
        // What streams hold is bounded by their windows.
        try channel.syncOptions?.setOption(.autoRead, value: true)
    }
}
