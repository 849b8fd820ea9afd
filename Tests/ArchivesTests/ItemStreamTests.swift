import Archives
import Base
import TestSupport
import Testing

@Suite struct ItemStreamTests {
    private static func bytes(_ count: Int, _ random: inout SeededRandom) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) } }

    /// Sizes around what a length and a block can hold.
    private static func size(_ random: inout SeededRandom) -> Int {
        switch random.next() % 8 {
        case 0: 0
        case 1: 127 + Int(random.next() % 3)
        case 2: 16_383 + Int(random.next() % 3)
        case 3: Limits.backupBlockBytes - 8 + Int(random.next() % 16)
        case 4: Limits.backupBlockBytes * 3 + Int(random.next() % 5)
        default: Int(random.next() % 3_000)
        }
    }

    @Test func recordsComeBackWhereverTheyAreCut() throws {
        var random = SeededRandom(seed: testSeed("recordsComeBackWhereverTheyAreCut"))
        let records = (0..<60).map { _ in
            (key: Self.bytes(1 + Int(random.next() % 511), &random), value: Self.bytes(Self.size(&random), &random))
        }
        var blocks: [[UInt8]] = []
        var cutter = BlockCutter()
        for record in records { unsafe cutter.record(record.key.span.bytes, record.value.span.bytes) { blocks.append($0) } }
        cutter.finish { blocks.append($0) }
        #expect(blocks.dropLast().allSatisfy { $0.count == Limits.backupBlockBytes } && blocks.count > 4)

        // As they were cut, and cut anew wherever chance will.
        let whole = blocks.flatMap { $0 }
        var cuts: [[UInt8]] = []
        var place = 0
        while place < whole.count {
            let count = min(whole.count - place, 1 + Int(random.next() % 40_000))
            cuts.append(Array(whole[place..<place + count]))
            place += count
        }
        for pieces in [blocks, cuts] {
            var reader = ItemReader()
            var read = 0
            for piece in pieces {
                reader.feed(piece)
                while let record = try reader.record() {
                    #expect(Array(record.key) == records[read].key && Array(record.value) == records[read].value, "record \(read)")
                    read += 1
                }
            }
            try reader.finish()
            #expect(read == records.count)
        }
    }

    @Test func commandsComeBack() throws {
        var random = SeededRandom(seed: testSeed("commandsComeBack"))
        let commands = (1...40).map { number in
            let place = BackupPlace(position: Position(rawValue: UInt64(number)), time: Timestamp(rawValue: Int64(number) - 20))
            return (place: place, bytes: Self.bytes(1 + Self.size(&random), &random))
        }
        var blocks: [[UInt8]] = []
        var cutter = BlockCutter()
        for command in commands { cutter.command(command.place, command.bytes) { blocks.append($0) } }
        cutter.finish { blocks.append($0) }
        var reader = ItemReader()
        var read = 0
        for block in blocks {
            reader.feed(block)
            while let command = try reader.command() {
                #expect(command.place == commands[read].place && Array(command.command) == commands[read].bytes)
                read += 1
            }
        }
        try reader.finish()
        #expect(read == commands.count)
    }

    @Test func lengthsThatNoItemHasAreRefused() {
        // A key of no bytes, of 512, a length without an end, one over 32 bits.
        for bytes: [UInt8] in [[0], [0x80, 0x04], [1, 7, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80], [1, 7, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F]] {
            var reader = ItemReader()
            reader.feed(bytes)
            #expect(throws: ContexError.self, "\(bytes)") { while try reader.record() != nil {} }
        }
        var cut = ItemReader()
        cut.feed([1, 7, 3, 1, 2])
        #expect(throws: ContexError.self) {
            while try cut.record() != nil {}
            try cut.finish()
        }
    }
}
