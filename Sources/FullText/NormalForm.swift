@_spi(_Unicode) internal import Swift
// Unicode's NFKC: one form of every text that reads the same. `ﬁ` is `fi`, full-width and mathematical letters are letters, half-width kana
// with their sound marks are kana, composed and decomposed syllables are one. The standard library composes; which scalars have a compatibility
// form is a table of ours, so that an index does not depend on what a system's libraries know.

internal import Base

enum NormalForm {
    /// Whether NFKC may change a text for having this scalar. False of accents on Latin, Greek and Cyrillic letters, whose letters the analyser takes
    /// in either form.
    /// - Complexity: O(1).
    static func mayChange(_ scalar: Unicode.Scalar) -> Bool { changing.contains(scalar.value) }

    /// In UTF-8.
    /// - Complexity: O(length).
    static func of(_ text: String) -> [UInt8] {
        var mapped: [UInt8] = []
        mapped.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            if changing.contains(scalar.value), let form = forms[scalar.value] {
                for scalar in form { append(scalar, to: &mapped) }
            } else {
                append(scalar, to: &mapped)
            }
        }
        let text = String(decoding: mapped, as: UTF8.self)
        mapped.removeAll(keepingCapacity: true)
        for scalar in text._nfc { append(scalar, to: &mapped) }
        return mapped
    }

    private static func append(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
        if scalar.isASCII { bytes.append(UInt8(truncatingIfNeeded: scalar.value)) } else { bytes.append(contentsOf: UTF8.encode(scalar)!) }
    }

    private static let changing = ScalarSet(spans(CompatibilityForms.changing))

    private static let forms: [UInt32: [Unicode.Scalar]] = {
        var forms: [UInt32: [Unicode.Scalar]] = [:]
        for entry in CompatibilityForms.forms.split(separator: " ") {
            let parts = entry.split(separator: ":")
            guard parts.count == 2, let span = span(parts[0]) else { continue }
            let form = parts[1].split(separator: ".").compactMap { UInt32($0, radix: 16) }
            for value in span {
                let own = form.count == 1 ? [form[0] + value - span.lowerBound] : form
                forms[value] = own.compactMap(Unicode.Scalar.init)
            }
        }
        return forms
    }()

    private static func spans(_ text: String) -> [ClosedRange<UInt32>] { text.split(separator: " ").compactMap(span) }

    private static func span(_ text: Substring) -> ClosedRange<UInt32>? {
        let ends = text.split(separator: "-").compactMap { UInt32($0, radix: 16) }
        guard let first = ends.first, let last = ends.last, first <= last else { return nil }
        return first...last
    }
}

/// A set of scalars: a bit each, in pages of 256 of which most are empty.
private struct ScalarSet {
    /// The place of a page's bits, 0 of an empty page.
    private var pages = [UInt8](repeating: 0, count: 0x1100)
    private var bits = [UInt64](repeating: 0, count: 4)

    init(_ spans: [ClosedRange<UInt32>]) {
        for value in spans.joined() where value <= 0x10FFFF {
            let page = Int(value >> 8)
            if pages[page] == 0 {
                precondition(bits.count / 4 < 256, "more pages than a byte counts")
                pages[page] = UInt8(bits.count / 4)
                bits += [0, 0, 0, 0]
            }
            bits[Int(pages[page]) * 4 + Int(value >> 6 & 3)] |= 1 << UInt64(value & 63)
        }
    }

    func contains(_ value: UInt32) -> Bool { bits[Int(pages[Int(value >> 8)]) * 4 + Int(value >> 6 & 3)] >> UInt64(value & 63) & 1 != 0 }
}
