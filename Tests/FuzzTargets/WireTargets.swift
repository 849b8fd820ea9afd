internal import Base
internal import Codings
internal import Wire

extension FuzzTargets {
    static let wire: [FuzzTarget] = [wireFrames, wirePacked, wireMessages]

    static let wireFrames = FuzzTarget(
        "wire-frames", "the frames do not depend on how the network cuts the bytes, stay inside the limits, and are written as they came",
        seeds: {
            var whole: [UInt8] = [3] + Frame.preface
            Frame.append(.hello, stream: 0, [8, 1, 16, 1], to: &whole)
            Frame.append(message: Array(0..<200), .request, stream: 1, pieceBytes: 64, to: &whole)
            Frame.append(.credit, stream: 1, [8, 5], to: &whole)
            return [whole, Array(whole.dropLast(3)), [0x80] + Frame.preface + [0, 0, 1, 0, 5, 1, 0, 0, 0, 9]]
        }
    ) { input in
        var reader = InputReader(input)
        let choice = reader.byte()
        let bytes = reader.rest
        let (whole, fault) = frames(bytes, step: max(1, bytes.count))
        let (cut, other) = frames(bytes, step: choice % 13 + 1)
        try require(whole == cut, "cut apart the frames are others")
        try require((fault == nil) == (other == nil), "\(String(describing: fault)) as a whole, \(String(describing: other)) cut apart")
        var again: [UInt8] = []
        for frame in whole {
            try require(frame.payload.count <= payloadMax, "a frame over the limit")
            frame.append(to: &again)
        }
        try require(Array(bytes.dropFirst(Frame.preface.count).prefix(again.count)) == again, "frames are written in another way than they came")
        var assembler = MessageAssembler(bytesMax: 600, partialMax: 3)
        do throws(WireFault) {
            for frame in whole {
                if let message = try assembler.take(frame) {
                    if message.payload.count > 600 { throw .messageTooLarge(most: 0) }
                }
            }
        } catch {
            try require(error != .messageTooLarge(most: 0), "a message over the limit")
        }
        try require(assembler.bufferedBytes <= 3 * 600, "\(assembler.bufferedBytes) bytes of messages in parts")
    }

    static let wirePacked = FuzzTarget(
        "wire-packed", "a packed payload gives what it says and no more than it may, or a fault; what was packed comes back",
        seeds: {
            var compressor = ZstandardCompressor(level: 1)
            let text = Array((0..<40).map { "record \($0) of many, much as the last; " }.joined().utf8)
            let packed = Frame.packed(text[...]) { compressor.compress($0) } ?? []
            let bomb: [UInt8] = [0, 16, 0, 0] + compressor.compress([UInt8](repeating: 0, count: 1 << 20))
            return [packed, Array(packed.dropLast(5)), [0, 0, 0, 1] + packed.dropFirst(4), bomb, []]
        }
    ) { input in
        var asked = 0
        let most = 1 << 12
        let frame = Frame(.request, .packed, stream: 1, payload: input)
        let plain = try? frame.unpacked(most: most) { content, count in
            asked = count
            return try? Zstandard.decompress(content, byteCount: count)
        }
        if let plain { try require(plain.payload.count == asked && plain.flags.isEmpty, "\(plain.payload.count) bytes of \(asked)") }
        try require(asked <= most && asked <= Frame.growthMax * max(0, input.count - 4), "\(asked) bytes were asked for, of \(input.count)")
        var compressor = ZstandardCompressor(level: 1)
        guard let packed = Frame.packed(input[...], by: { compressor.compress($0) }) else { return }
        let again = try? Frame(.request, .packed, stream: 1, payload: packed).unpacked(most: input.count) { try? Zstandard.decompress($0, byteCount: $1) }
        try require(again?.payload == input, "what was packed does not come back")
    }

    private static let payloadMax = 300

    private static func frames(_ bytes: [UInt8], step: Int) -> (frames: [Frame], fault: WireFault?) {
        var decoder = FrameDecoder(payloadMax: payloadMax, expectingPreface: true)
        var found: [Frame] = []
        do throws(WireFault) {
            for start in stride(from: 0, to: bytes.count, by: step) {
                decoder.feed(bytes[start..<min(bytes.count, start + step)])
                while let frame = try decoder.next() { found.append(frame) }
            }
        } catch {
            return (found, error)
        }
        return (found, nil)
    }

    /// What clients and servers send each other, by a number.
    private static let messages: [any WireMessage.Type] = [
        WireHello.self, WireWelcome.self, WireRequest.self, WireCredit.self, WireError.self, WirePublish.self, WirePublishBatch.self, WireReceipts.self,
        WireHeldData.self, WireListing.self, WireProjects.self, WireQuery.self, WireQueryBatch.self, WireQueryAnswers.self, WireEmbed.self,
        WireEmbeddings.self, WireRegister.self, WireRegistration.self, WireAgents.self, WireEvents.self, WireReadInbox.self, WireInbox.self,
        WireAcknowledge.self, WireFollowInbox.self, WireFollowEvents.self, WireUpdates.self, WireTryNeeds.self,
    ]

    static let wireMessages = FuzzTarget(
        "wire-messages", "what is read of any bytes is written so that it reads the same, in no more memory than its bytes are worth",
        seeds: {
            var query = WireQuery(project: "app", text: "which database")
            (query.vector, query.vectorOfHalves, query.pinned, query.threshold) = ([1, 2], [0.5], ["a", "b"], 0.25)
            var match = WireMatch()
            (match.nodeKey, match.similarity, match.data, match.explanation) = ("a.b", 0.5, [0x7B, 0x7D], WireExplanation())
            var answer = WireQueryAnswers.Outcome()
            answer.answer = WireQueryAnswer()
            answer.answer?.matches = [match, match]
            var answers = WireQueryAnswers()
            answers.outcomes = [answer]
            var embed = WireEmbed()
            embed.inputs = [WireEmbed.Input("text")]
            embed.inputs[0].tokens = [1, 300, 70_000]
            return [
                [11] + query.encoded, [13] + answers.encoded, [14] + embed.encoded,
                [2] + WireRequest(.query, deadlineMilliseconds: 5, body: query.encoded).encoded, [4] + WireError(ContexError(.busy, "later")).encoded,
            ]
        }
    ) { input in
        var reader = InputReader(input)
        let type = messages[reader.byte() % messages.count]
        try checkMessage(type, reader.rest)
    }

    private static func checkMessage<M: WireMessage>(_ type: M.Type, _ bytes: [UInt8]) throws {
        let message: M
        do throws(WireFault) { message = try M(decoding: bytes) } catch { return }
        let written = message.encoded
        // By their bytes: a number that is none does not equal itself.
        let again: [UInt8]
        do throws(WireFault) { again = try M(decoding: written).encoded } catch { throw FuzzFinding("\(type) cannot be read again: \(error)") }
        try require(again == written, "\(type) reads as another")
    }
}
