import Base
import BearerTokens
import Hashing
import TestSupport
import Testing

/// Tokens of this server: what they say, and what is refused.
@Suite("Bearer tokens") struct TokenTests {
    static let now: Double = 1_800_000_000
    static let seed = [UInt8](repeating: 7, count: 32)
    static let secret = Array("0123456789abcdef0123456789abcdef".utf8)

    static func claims() -> TokenClaims {
        var claims = TokenClaims(subject: "sa_0123456789abcdef", issuedAt: Int64(now), expiresAt: Int64(now) + 3_600)
        (claims.name, claims.type, claims.role) = ("deploy \"x\"", "ci_cd", "publisher")
        (claims.projects, claims.scopes) = (["app"], ["project:app:data:publish"])
        (claims.keyID, claims.generation, claims.tokenID) = ("0123456789abcdef", 3, "id")
        return claims
    }

    static func publicKey(_ seed: [UInt8] = seed) throws -> JSONWebKey {
        let key = try Ed25519.publicKey(seed: seed)
        return JSONWebKey(.ed25519(publicKey: key), keyID: JSONWebKey.thumbprint(ed25519: key))
    }
    static func signer(_ seed: [UInt8] = seed) throws -> TokenClaims.Signer { .ed25519(seed: seed, keyID: try #require(try publicKey(seed).keyID)) }

    /// A token of any header and claims, with a good HMAC over them.
    static func forged(_ header: String, _ claims: String, secret: [UInt8] = secret) -> String {
        let signed = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(claims.utf8))
        return signed + "." + Base64URL.encode(HMACSHA256.authenticate(Array(signed.utf8), key: secret).bytes)
    }
    static let header = #"{"alg":"HS256","typ":"JWT"}"#
    static let good = #"{"sub":"sa_0123456789abcdef","iss":"contex","iat":1800000000,"exp":1800003600}"#

    private func read(_ token: String, at time: Double = now) throws -> TokenClaims {
        try TokenClaims(token: token, keys: [JSONWebKey(.secret(Self.secret), keyID: nil)], at: time)
    }

    @Test func bothSignersAreRead() throws {
        let claims = Self.claims()
        #expect(try TokenClaims(token: claims.token(by: Self.signer()), keys: [Self.publicKey()], at: Self.now) == claims)
        #expect(try read(claims.token(by: .secret(Self.secret))) == claims)
        // RFC 8037, A.3.
        let key = try #require(Base64URL.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
        #expect(JSONWebKey.thumbprint(ed25519: key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    }

    @Test func anotherKeyIsRefused() throws {
        let other = [UInt8](repeating: 8, count: 32)
        let token = try Self.claims().token(by: Self.signer(other))
        #expect(throws: TokenFault.key) { try TokenClaims(token: token, keys: [Self.publicKey()], at: Self.now) }
        // Under the name of the right one.
        let named = try Self.claims().token(by: .ed25519(seed: other, keyID: try #require(try Self.publicKey().keyID)))
        #expect(throws: TokenFault.signature) { try TokenClaims(token: named, keys: [Self.publicKey()], at: Self.now) }
        // After a rotation each is read with its own.
        let both = [try Self.publicKey(other), try Self.publicKey()]
        #expect(try TokenClaims(token: token, keys: both, at: Self.now).subject == "sa_0123456789abcdef")
        #expect(throws: TokenFault.key) { try read(token) }
    }

    /// The public key is no secret: an HMAC with it proves nothing.
    @Test func algorithmsAreNotConfused() throws {
        let key = try Ed25519.publicKey(seed: Self.seed)
        let name = try #require(try Self.publicKey().keyID)
        let confused = Self.forged(#"{"alg":"HS256","kid":"\#(name)"}"#, Self.good, secret: key)
        #expect(throws: TokenFault.key) { try TokenClaims(token: confused, keys: [Self.publicKey()], at: Self.now) }
        for algorithm in ["none", "None", "NONE", "nOnE", "", "HS257", "hs256", "EdDSA ", "RS1"] {
            #expect(throws: TokenFault.algorithm) { try read(Self.forged(#"{"alg":"\#(algorithm)"}"#, Self.good)) }
        }
        for algorithm in ["HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA"] {
            #expect(throws: TokenFault.key) { try read(Self.forged(#"{"alg":"\#(algorithm)"}"#, Self.good)) }
        }
        #expect(throws: TokenFault.algorithm) { try read(Self.forged(#"{"alg":["HS256"]}"#, Self.good)) }
        #expect(throws: TokenFault.algorithm) { try read(Self.forged(#"{"typ":"JWT"}"#, Self.good)) }
        let unsigned = Self.forged(#"{"alg":"none"}"#, Self.good).split(separator: ".").prefix(2).joined(separator: ".") + "."
        #expect(throws: TokenFault.malformed) { try read(unsigned) }
    }

    @Test func whatAHeaderBringsItselfIsRefused() throws {
        for member in ["crit", "b64", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "enc", "zip"] {
            let header = #"{"alg":"HS256","\#(member)":["exp"]}"#
            #expect(throws: TokenFault.header(member)) { try read(Self.forged(header, Self.good)) }
        }
        #expect(throws: TokenFault.header("typ")) { try read(Self.forged(#"{"alg":"HS256","typ":"JWE"}"#, Self.good)) }
        #expect(throws: TokenFault.header("kid")) { try read(Self.forged(#"{"alg":"HS256","kid":7}"#, Self.good)) }
        #expect(try read(Self.forged(#"{"alg":"HS256","kid":"any","typ":"at+jwt"}"#, Self.good)).subject == "sa_0123456789abcdef")
    }

    @Test func claimsThatAreNotWhatTheyMustBe() throws {
        func faulty(_ claims: String) -> TokenFault? {
            #expect(throws: TokenFault.self, "\(claims)") { try read(Self.forged(Self.header, claims)) }
        }
        let rest = #""iat":1800000000,"exp":1800003600"#
        #expect(faulty(#"{"iss":"contex",\#(rest)}"#) == .claim("sub"))
        #expect(faulty(#"{"sub":"","iss":"contex",\#(rest)}"#) == .claim("sub"))
        #expect(faulty(#"{"sub":["a"],"iss":"contex",\#(rest)}"#) == .claim("sub"))
        #expect(faulty(#"{"sub":"a",\#(rest)}"#) == .claim("iss"))
        #expect(faulty(#"{"sub":"a","iss":"other",\#(rest)}"#) == .claim("iss"))
        #expect(faulty(#"{"sub":"a","iss":"contex","aud":"other",\#(rest)}"#) == .claim("aud"))
        #expect(faulty(#"{"sub":"a","iss":"contex","aud":[],\#(rest)}"#) == .claim("aud"))
        #expect(faulty(#"{"sub":"a","iss":"contex","exp":1800003600}"#) == .claim("iat"))
        #expect(faulty(#"{"sub":"a","iss":"contex","iat":1800000000}"#) == .claim("exp"))
        for wrong in ["\"1800003600\"", "-1", "1e300", "null", "253402300800", "1800000000", "1799999999"] {
            #expect(faulty(#"{"sub":"a","iss":"contex","iat":1800000000,"exp":\#(wrong)}"#) == .claim("exp"))
        }
        // Longer than a day.
        #expect(faulty(#"{"sub":"a","iss":"contex","iat":1800000000,"exp":1800086401}"#) == .claim("exp"))
        #expect(faulty(#"{"sub":"a","iss":"contex","gen":-1,\#(rest)}"#) == .claim("gen"))
        #expect(faulty(#"{"sub":"a","iss":"contex","gen":4294967296,\#(rest)}"#) == .claim("gen"))
        #expect(faulty(#"{"sub":"a","iss":"contex","projects":[1],\#(rest)}"#) == .claim("projects"))
        #expect(faulty(#"{"sub":"\#(String(repeating: "a", count: 1_025))","iss":"contex",\#(rest)}"#) == .claim("sub"))
        #expect(faulty("[]") == .notJSON)
        #expect(faulty(#"{"sub":"a","iss":"contex","x":\#(String(repeating: "[", count: 9))\#(String(repeating: "]", count: 9)),\#(rest)}"#) == .notJSON)
        #expect(try read(Self.forged(Self.header, #"{"sub":"a","iss":"contex","aud":["x","contex"],\#(rest)}"#)).subject == "a")
    }

    @Test func timesHaveALittleLeeway() throws {
        let token = Self.forged(Self.header, Self.good)
        #expect(try read(token, at: 1_800_003_629).expiresAt == 1_800_003_600)
        #expect(throws: TokenFault.expired) { try read(token, at: 1_800_003_630) }
        #expect(try read(token, at: 1_799_999_970).issuedAt == 1_800_000_000)
        #expect(throws: TokenFault.early) { try read(token, at: 1_799_999_969) }
        let later = #"{"sub":"a","iss":"contex","iat":1800000000,"nbf":1800000100,"exp":1800003600}"#
        #expect(throws: TokenFault.early) { try read(Self.forged(Self.header, later)) }
        #expect(try read(Self.forged(Self.header, later), at: 1_800_000_070).subject == "a")
    }

    @Test func sizesAreBounded() throws {
        #expect(throws: TokenFault.tooLarge) { try read(String(repeating: "a", count: TokenLimits.tokenBytes + 1)) }
        let long = #"{"alg":"HS256","x":"\#(String(repeating: "a", count: 1_100))"}"#
        #expect(throws: TokenFault.tooLarge) { try read(Self.forged(long, Self.good)) }
        var claims = Self.claims()
        claims.projects = (0..<1_000).map { "project-\($0)" }
        let token = try claims.token(by: .secret(Self.secret))
        #expect(token.utf8.count <= TokenLimits.issuedBytes)
        #expect(try read(token).projects.isEmpty)
    }

    @Test func everyCutAndEveryChangedByteIsRefused() throws {
        let token = try Self.claims().token(by: Self.signer())
        let (keys, bytes) = ([try Self.publicKey()], Array(token.utf8))
        for length in 0..<bytes.count {
            #expect(throws: TokenFault.self) { try TokenClaims(token: String(decoding: bytes[..<length], as: UTF8.self), keys: keys, at: Self.now) }
        }
        for place in bytes.indices {
            var changed = bytes
            changed[place] = bytes[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(throws: TokenFault.self) { try TokenClaims(token: String(decoding: changed, as: UTF8.self), keys: keys, at: Self.now) }
        }
    }
}
