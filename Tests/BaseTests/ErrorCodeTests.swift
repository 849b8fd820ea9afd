import Base
import Foundation
import TestSupport
import Testing

/// docs/errors.md, the catalogue and the sources say the same.
@Suite struct ErrorCodeTests {
    /// The cells of every row of docs/errors.md whose first cell is a word in code type, with the heading that it stands under.
    private func rows() throws -> [(heading: String, cells: [String])] {
        let text = try String(contentsOf: TestData.checkout.appendingPathComponent("docs/errors.md"), encoding: .utf8)
        var heading = ""
        var rows: [(heading: String, cells: [String])] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") { heading = String(line.dropFirst(3)) }
            guard line.hasPrefix("| `") else { continue }
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            rows.append((heading, [cells[0].trimmingCharacters(in: ["`"])] + cells.dropFirst()))
        }
        return rows
    }

    @Test func theDocumentListsEveryCodeAndNoOther() throws {
        let documented = try rows().filter { !$0.heading.isEmpty }
        let expected = ErrorCode.allCases.map { ($0.category.rawValue, [$0.rawValue, String($0.httpStatus), $0.meaning]) }
        #expect(documented.map(\.cells[0]) == expected.map(\.1[0]), "codes, in the order of the catalogue")
        for (row, code) in zip(documented, expected) {
            #expect(row.heading == code.0 && Array(row.cells.prefix(3)) == code.1, "\(code.1[0])")
            #expect(row.cells.count == 4 && row.cells[3].count > 8, "\(code.1[0]): what to do")
        }
    }

    @Test func theDocumentHasTheTableOfCategories() throws {
        let documented = try rows().filter(\.heading.isEmpty).map { Array($0.cells.prefix(5)) }
        let expected = ContexError.Category.allCases.map { category in
            let row = category.row
            return [category.rawValue, String(row.httpStatus), String(row.exit.rawValue), row.respWord, String(row.wireCode)]
        }
        #expect(documented == expected)
    }

    @Test func codesAreWordsAndWireCodesAreDifferent() {
        for code in ErrorCode.allCases {
            #expect(code.rawValue.utf8.allSatisfy { $0 == UInt8(ascii: "_") || $0 &- 0x61 < 26 } && !code.meaning.hasSuffix("."), "\(code)")
            #expect(ErrorCode.allCases.count { $0.meaning == code.meaning } == 1, "\(code)")
        }
        let categories = ContexError.Category.allCases
        #expect(Set(categories.map(\.row.wireCode)).count == categories.count)
        for category in categories { #expect(category.generalCode.category == category) }
    }

    /// Of an answer without a code, the status leads back to a category with that status.
    @Test func statusesLeadBack() {
        for code in ErrorCode.allCases where code != .bug {
            #expect(ContexError.Category(httpStatus: code.httpStatus).row.exit == code.category.row.exit, "\(code)")
        }
        #expect(ContexError.Category(httpStatus: 418) == .badRequest && ContexError.Category(httpStatus: 502) == .unavailable)
    }

    /// Each code is given to an error somewhere: as the first argument of what makes one.
    @Test func everyCodeIsRaised() throws {
        let sources = TestData.checkout.appendingPathComponent("Sources")
        var text = ""
        for path in try FileManager.default.subpathsOfDirectory(atPath: sources.path) where path.hasSuffix(".swift") && !path.hasPrefix("Base/Error") {
            text += try String(contentsOf: sources.appendingPathComponent(path), encoding: .utf8)
        }
        for code in ErrorCode.allCases {
            // `damaged` and its like have a function of their own in the catalogue.
            let own = "(?:ContexError)?\\.\(code)\\((?:field|\")"
            let made = "(?:ContexError|Refusal|\\.refusal|refuseUnread|\\.invalid|internalError|Fault)\\((?:\\s*code:)?\\s*(?:\\w+ \\? )?\\.\(code)\\b"
            #expect(text.range(of: "\(made)|\(own)", options: .regularExpression) != nil, "\(code) is raised nowhere")
        }
    }

    @Test func anErrorSaysWhatItIs() {
        let error = ContexError(.agentAmbiguous, "which?")
        #expect(error.category == .conflict && error.description == "agent_ambiguous: which?" && error.respText == "ERR which?")
        let damage = ContexError(.formatUnknown, "new").damage(in: Name(stored: "p"))
        #expect(damage.code == .formatUnknown && damage.project == "p")
        #expect(ContexError(.forbidden, "no").respText == "NOPERM no")
    }
}
