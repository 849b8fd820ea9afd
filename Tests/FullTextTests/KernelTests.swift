import Base
import CKernels
import TestSupport
import Testing

/// Every level of the posting kernels against plain loops.
@Suite struct KernelTests {
    static let levels = 0...Int(ck_postings_level())

    @Test func unpackingGivesWhatWasPacked() throws {
        var random = SeededRandom(seed: testSeed("unpackingGivesWhatWasPacked"))
        for bits in UInt32(0)...32 {
            for count in [1, 2, 7, 8, 9, 15, 16, 17, 64, 127, 128] {
                let values = (0..<count).map { _ in UInt32(truncatingIfNeeded: random.next()) & UInt32((UInt64(1) << UInt64(bits)) - 1) }
                let size = ck_packed_bytes(count, bits)
                for padding in [0, 3, 700] {
                    var packed = [UInt8](repeating: 0, count: size + padding)
                    for place in packed.indices { packed[place] = UInt8.random(in: 0...255, using: &random) }
                    unsafe ck_pack(values, count, bits, &packed)
                    for level in Self.levels {
                        var out = [UInt32](repeating: 0, count: 128)
                        unsafe ck_unpack_counts(Int32(level), packed, packed.count, bits, count, &out)
                        #expect(Array(out[..<count]) == values.map { $0 &+ 1 }, "\(bits) bits, \(count) values, level \(level)")
                    }
                }
            }
        }
    }

    @Test func nodesAreSumsAndNeverRunOver() throws {
        var random = SeededRandom(seed: testSeed("nodesAreSumsAndNeverRunOver"))
        for round in 0..<3_000 {
            let bits = UInt32(round % 33)
            let count = Int.random(in: 1...128, using: &random)
            var values = (0..<count).map { _ in UInt32(truncatingIfNeeded: random.next()) & UInt32((UInt64(1) << UInt64(bits)) - 1) }
            let isSound = random.unit() < 0.8
            if isSound { values[0] = 0 }
            let first = random.unit() < 0.5 ? UInt32.random(in: 0...1_000, using: &random) : UInt32.random(in: 0...(.max), using: &random)
            var nodes: [UInt64] = []
            for (place, value) in values.enumerated() { nodes.append((place == 0 ? UInt64(first) : nodes[place - 1] + 1) + UInt64(value)) }
            var packed = [UInt8](repeating: 0, count: ck_packed_bytes(count, bits) + (random.unit() < 0.5 ? 0 : 600))
            unsafe ck_pack(values, count, bits, &packed)
            let fits = nodes.allSatisfy { $0 <= UInt64(UInt32.max) } && nodes[0] == UInt64(first)
            let last = UInt32(truncatingIfNeeded: nodes[count - 1])
            for level in Self.levels {
                var out = [UInt32](repeating: 0, count: 128)
                let sound = unsafe ck_unpack_nodes(Int32(level), packed, packed.count, bits, count, first, last, &out)
                #expect((sound == 1) == fits, "\(bits) bits, \(count) values, level \(level)")
                if fits { #expect(out[..<count].elementsEqual(nodes.map { UInt32($0) })) }
                let beyond = unsafe ck_unpack_nodes(Int32(level), packed, packed.count, bits, count, first, last &+ 1, &out)
                #expect(beyond == 0)
            }
        }
    }

    @Test func sharesAreTheSameOnEveryLevel() throws {
        var random = SeededRandom(seed: testSeed("sharesAreTheSameOnEveryLevel"))
        let window = Int(CK_POSTINGS_WINDOW)
        for width in [1, 2, 4] {
            for _ in 0..<50 {
                let start = UInt32.random(in: 0...100_000, using: &random) * UInt32(window)
                let covered = Int.random(in: 1...window, using: &random)
                let stored = (0..<covered).map { _ in
                    UInt32.random(in: 0...(width == 1 || random.unit() < 0.8 ? 255 : width == 2 ? 65_535 : 1_000_000), using: &random)
                }
                let bytes = stored.flatMap { value in (0..<width).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) } }
                let places = Set((0..<Int.random(in: 0...128, using: &random)).map { _ in UInt32.random(in: 0..<UInt32(covered), using: &random) }).sorted()
                let nodes = places.map { start + $0 }
                let isOnes = Bool.random(using: &random)
                let counts = places.map { _ in isOnes ? 1 : UInt32.random(in: 1...(random.unit() < 0.1 ? 100_000 : 5), using: &random) }
                var scale = ck_scale(weight: Float(random.unit()) * 0x1p29, base: 0.3, slope: Float(random.unit()))
                var expected = [Int32](repeating: 5, count: window)
                for (place, count) in zip(places, counts) {
                    let norm = scale.base + scale.slope * Float(max(stored[Int(place)], 1) - 1)
                    expected[Int(place)] += Int32((scale.weight * (Float(count) / (Float(count) + norm))).rounded(.toNearestOrEven))
                }
                let limit = Int32.random(in: 0...(1 << 28), using: &random)
                let over = expected.indices.filter { expected[$0] > limit }
                for level in Self.levels.map({ Int32($0) }) {
                    var table = [Int32](repeating: 0, count: Int(CK_TABLE_COUNTS * CK_TABLE_LENGTHS))
                    unsafe ck_share_table(level, &scale, &table)
                    var lengths = [UInt16](repeating: 0, count: window)
                    var wide = [UInt32](repeating: 0, count: window)
                    unsafe ck_widen_lengths(level, bytes, UInt32(width), covered, &lengths, &wide)
                    #expect(lengths[..<covered].elementsEqual(stored.map { UInt16(min($0, 65_535)) }))
                    if width == 4 { #expect(wide[..<covered].elementsEqual(stored)) }
                    var sums = [Int32](repeating: 5, count: window)
                    unsafe lengths.withUnsafeBufferPointer { lengths in
                        unsafe wide.withUnsafeBufferPointer { wide in
                            var place = unsafe ck_window(lengths: lengths.baseAddress!, wide: width == 4 ? wide.baseAddress! : nil, start: start)
                            if isOnes {
                                unsafe ck_add_ones(&scale, table, &place, nodes, nodes.count, &sums)
                            } else {
                                unsafe ck_add_counts(&scale, table, &place, nodes, counts, nodes.count, &sums)
                            }
                        }
                    }
                    #expect(sums == expected)
                    var found = [UInt32](repeating: 0, count: window)
                    var taken = [Int32](repeating: 0, count: window)
                    let number = unsafe ck_take_over(level, &sums, limit, &found, &taken)
                    #expect(found[..<number].elementsEqual(over.map { UInt32($0) }))
                    #expect(taken[..<number].elementsEqual(over.map { expected[$0] }))
                    #expect(sums.allSatisfy { $0 == 0 })
                    for _ in 0..<20 where !nodes.isEmpty {
                        let node = random.unit() < 0.5 ? nodes.randomElement(using: &random)! : start &+ UInt32.random(in: 0...5_000, using: &random)
                        let below = unsafe ck_count_below(level, nodes, nodes.count, node)
                        #expect(below == nodes.count { $0 < node })
                    }
                }
            }
        }
        let high: [UInt32] = [1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]
        for level in Self.levels.map({ Int32($0) }) {
            for node in high { #expect(unsafe ck_count_below(level, high, high.count, node) == high.firstIndex(of: node)!) }
        }
    }
}
