import Base
import BearerTokens
import Content
import Foundation
import TestSupport
import Testing

/// The signatures of data/security/jwt (Wycheproof, 95 of them): each is accepted or refused as it is marked.
@Suite("JSON Web Signatures of Wycheproof", .enabled(if: TestData.hasData)) struct WycheproofTests {
    /// Where the file says two things: 367 and 370 are the text of 357, which it calls valid, and the two others have a sign in them that is none of
    /// base64url, which RFC 4648 (3.3) and RFC 7515 (2) refuse.
    static let contradicted: [Int: Bool] = [367: true, 370: true, 372: false, 373: false]

    @Test func eachIsWhatItIsMarkedAs() throws {
        let bytes = Array(try TestData.file("security/jwt/json_web_signature_test.json"))
        let groups = try #require(try JSONParser.parse(bytes)["testGroups"]?.arrayValue)
        var counts = (accepted: 0, refused: 0)
        for group in groups {
            // Who verifies has the public half; of a secret there is but one.
            let given = try #require((group["public"] ?? group["private"])?.objectValue)
            for test in try #require(group["tests"]?.arrayValue) {
                let number = try #require(test["tcId"]?.integerValue)
                let isValid = Self.contradicted[number] ?? (test["result"]?.stringValue == "valid")
                let text = try #require(test["jws"]?.stringValue)
                var fault: TokenFault?
                do throws(TokenFault) {
                    try JSONWebSignature(compact: text).verify(with: try JSONWebKey(given))
                } catch {
                    fault = error
                }
                #expect((fault == nil) == isValid, "\(number) \(test["comment"]?.stringValue ?? ""): \(fault.map { "\($0)" } ?? "accepted")")
                if fault == nil { counts.accepted += 1 } else { counts.refused += 1 }
            }
        }
        #expect(counts.accepted == 22 && counts.refused == 73, "\(counts)")
    }

    /// No key of one kind is taken for one of another: of every valid signature, no other group's key accepts it.
    @Test func noKeyTakesAnothersSignature() throws {
        let bytes = Array(try TestData.file("security/jwt/json_web_signature_test.json"))
        let groups = try #require(try JSONParser.parse(bytes)["testGroups"]?.arrayValue)
        for (place, group) in groups.enumerated() {
            for test in group["tests"]?.arrayValue ?? [] where test["result"]?.stringValue == "valid" {
                guard let signature = try? JSONWebSignature(compact: test["jws"]?.stringValue ?? "") else { continue }
                for (other, foreign) in groups.enumerated() where other != place {
                    guard let given = (foreign["public"] ?? foreign["private"])?.objectValue else { continue }
                    #expect(throws: TokenFault.self) { try signature.verify(with: try JSONWebKey(given)) }
                }
            }
        }
    }
}
