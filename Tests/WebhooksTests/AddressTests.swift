// The address filter: text forms, ranges, and the collected ways around such filters.
import Addresses
import Base
import Foundation
import TestSupport
import Testing
import Webhooks

@Suite struct AddressTests {
    @Test(arguments: [
        ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("::", "::"), ("::1", "::1"), ("1::", "1::"),
        ("2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:DB8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("::ffff:1.2.3.4", "::ffff:102:304"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"), ("1::8", "1::8"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("64:ff9b::8.8.8.8", "64:ff9b::808:808"),
    ])
    func reads(_ text: String, _ expected: String) {
        #expect(IPAddress(text)?.description == expected)
        #expect(IPAddress(expected) == IPAddress(text))
    }

    @Test(arguments: [
        "", ".", ":", ":::", "1", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", "1.2.3.-4", "+1.2.3.4", "1.2.3.٤", "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", "1::2::3", "::1::", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "12345::", "g::", "1:2:3:4:5:6:7:8::",
        "1.2.3.4::", "::1.2.3", "fe80::1%eth0",
        "[::1]", "::+1",
    ])
    func refuses(_ text: String) { #expect(IPAddress(text) == nil) }

    @Test(arguments: [
        ("2130706433", "127.0.0.1"), ("127.1", "127.0.0.1"), ("127.0.1", "127.0.0.1"), ("0177.0.0.1", "127.0.0.1"), ("0x7f.0.0.1", "127.0.0.1"),
        ("0x7F000001", "127.0.0.1"), ("017700000001", "127.0.0.1"), ("0", "0.0.0.0"), ("1.65535", "1.0.255.255"), ("4294967295", "255.255.255.255"),
        ("0251.00376.000251.0000376", "169.254.169.254"), ("0xA9FEA9FE", "169.254.169.254"), ("1.16777215", "1.255.255.255"), ("10.0.65535", "10.0.255.255"),
    ])
    func readsAsResolversDo(_ text: String, _ expected: String) { #expect(IPAddress(resolverForm: text)?.description == expected) }

    @Test(arguments: [
        "4294967296", "256.1", "1.16777216", "1.2.65536", "1.2.3.256", "08", "1..2", "0o177.0.0.1", "1.2.3.4.5", "", "0xg", "-1", "99999999999999999999999",
    ])
    func refusesAsResolversDo(_ text: String) { #expect(IPAddress(resolverForm: text) == nil) }

    @Test func blocks() throws {
        #expect(try CIDR("10.0.0.0/8").contains(IPAddress("10.255.255.255")!))
        #expect(try !CIDR("10.0.0.0/8").contains(IPAddress("11.0.0.0")!))
        #expect(try !CIDR("0.0.0.0/0").contains(IPAddress("::1")!))
        #expect(try CIDR("::/0").contains(IPAddress("ffff::1")!))
        #expect(try CIDR("::1").contains(IPAddress("::1")!))
        #expect(try CIDR("fc00::/7").contains(IPAddress("fdff::")!))
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "::/129", "10.0.0.1/8", "0x7f.1/32", "host", "10.0.0.0/+8"] {
            #expect(throws: ContexError.self, "\(text)") { try CIDR(text) }
        }
    }

    @Test func policies() throws {
        let policy = try AddressPolicy.parse(" 10.0.0.0/8,::1/128, 192.168.7.7\n")
        #expect(policy.allowed.map(\.description) == ["10.0.0.0/8", "::1/128", "192.168.7.7/32"])
        for text in ["10.1.2.3", "::1", "192.168.7.7", "::ffff:10.1.2.3", "8.8.8.8"] { #expect(policy.permits(IPAddress(text)!), "\(text)") }
        for text in ["127.0.0.1", "192.168.7.8", "::2", "64:ff9b::10.1.2.3", "::10.1.2.3"] { #expect(!policy.permits(IPAddress(text)!), "\(text)") }
        #expect(try AddressPolicy.parse("") == .publicOnly)
        #expect(throws: ContexError.self) { try AddressPolicy.parse("10.0.0.0/8; ::1") }
        #expect(AddressPolicy.loopback.permits(IPAddress("127.0.0.1")!) && AddressPolicy.loopback.permits(IPAddress("::1")!))
        #expect(!AddressPolicy.publicOnly.permits(IPAddress("127.0.0.1")!))
    }

    /// First and last address of each special block, and its neighbours where they are public.
    @Test func edgesOfSpecialBlocks() {
        let special = [
            "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.0", "127.255.255.255", "169.254.0.0",
            "169.254.255.255", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.0", "192.0.2.255", "192.88.99.0", "192.168.0.0",
            "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.0", "203.0.113.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255",
            "168.63.129.16", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8",
            "100::1", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::1", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::1",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2002:7f00:1::", "2002:808:808::", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "5f00::",
            "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::1", "fec0::1", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ]
        for text in special { #expect(!AddressPolicy.isPublic(IPAddress(text)!), "\(text)") }
        let open = [
            "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0",
            "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
            "2000::", "2001:200::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", "2003::1", "2606:4700::1111", "3ffe:ffff::1", "3fff:1000::",
            "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
        ]
        for text in open { #expect(AddressPolicy.isPublic(IPAddress(text)!), "\(text)") }
    }

    /// Judges the collected URLs as a delivery does, with the answers that the resolvers of those clouds give to their
    /// internal names. Nothing is resolved, nothing is connected to.
    @Test(.enabled(if: TestData.hasData)) func collectedAttacks() throws {
        let names = [
            "metadata.google.internal": ["169.254.169.254"], "metadata": ["169.254.169.254"], "metadata.tencentyun.com": ["169.254.0.23"],
            "localhost": ["::1", "127.0.0.1"],
        ]
        let lines = String(decoding: try TestData.file("security/ssrf/addresses.tsv"), as: UTF8.self).split(separator: "\n").dropFirst()
        #expect(lines.count == 59)
        for line in lines {
            let fields = line.split(separator: "\t").map(String.init)
            let isPermitted: Bool
            if let url = try? WebhookURL(fields[0]) {
                let addresses: [IPAddress] =
                    switch url.host {
                    case .address(let address): [address]
                    case .name(let name): try #require(names[name], "\(line)").map { IPAddress($0)! }
                    }
                isPermitted = addresses.contains(where: AddressPolicy.publicOnly.permits)
            } else {
                isPermitted = false
            }
            #expect(isPermitted == (fields[2] == "allow"), "\(line)")
        }
    }
}

@Suite struct WebhookURLTests {
    @Test(arguments: [
        ("http://example.com", "http://example.com:80/"), ("HTTPS://Example.COM.:8443/a?b=c#d", "https://example.com:8443/a?b=c"),
        ("http://127.1/x", "http://127.0.0.1:80/x"), ("http://[::1]:81", "http://[::1]:81/"), ("http://[0:0::ffff:1.2.3.4]/", "http://[::ffff:102:304]:80/"),
        ("https://a_b-c.example?q=ü", "https://a_b-c.example:443/?q=%C3%BC"), ("http://a/%41%4g[]|\"", "http://a:80/%41%254g%5B%5D%7C%22"),
        ("http://a:80//b/../c", "http://a:80//c"), ("http://a#@b", "http://a:80/"), ("http://a:/", "http://a:80/"), ("http://a%2eb/", "http://a.b:80/"),
        ("http://xn--mnchen-3ya.example/", "http://xn--mnchen-3ya.example:80/"),
    ])
    func rewrites(_ text: String, _ expected: String) throws {
        #expect(try WebhookURL(text).text == expected)
        #expect(try WebhookURL(expected).text == expected)
    }

    @Test(arguments: [
        "", "example.com", "//example.com", "ftp://example.com", "http:/example.com", "http:example.com", "http://", "http:///x",
        "http://user@host/", "http://a:b@c/", "http://a b/", " http://a/", "http://a/\n", "http://a\\@b/", "http://a:0/",
        "http://a:65536/", "http://a:8x/",
        "http://a:80:81/", "http://[::1/", "http://[::1]x/", "http://[1.2.3.4]/", "http://[fe80::1%25eth0]/", "http://a..b/",
        "http://.a/", "http://ä.example/", "http://a%40b/", "http://a!/",
        "http://1.2.3.4.5/", "http://0o177.0.0.1/", "http://a.0x7f/", "http://１２７.0.0.1/", "http://a\u{0}/", "javascript:alert(1)",
        "http://" + String(repeating: "a", count: 64) + ".b/", "http://a/" + String(repeating: "x", count: 9_000),
        "http://a/" + String(repeating: "ü", count: 3_000),
    ])
    func refuses(_ text: String) { #expect(throws: ContexError.self) { try WebhookURL(text) } }
}

/// The one reader of URLs: as browsers read them.
@Suite struct WebAddressTests {
    @Test(arguments: [
        ("HTTP://H.Example:80", "http://h.example/"), (" https://a.example:443/b?c#d\n", "https://a.example/b?c#d"), ("http:\\\\a\\b", "http://a/b"),
        ("http://0x7f.1", "http://127.0.0.1/"), ("http://2130706433:81/", "http://127.0.0.1:81/"), ("http://127.0.0.1./", "http://127.0.0.1/"),
        ("http://[::FFFF:1.2.3.4]/", "http://[::ffff:102:304]/"), ("http://user:p@ss@h/", "http://user:p%40ss@h/"), ("http://@h/", "http://h/"),
        ("http://h/a/./b/../c/%2e%2E/d", "http://h/a/d"), ("http://h/..", "http://h/"), ("http://h?", "http://h/?"),
        ("http://h/ü\"<`", "http://h/%C3%BC%22%3C%60"),
        ("http://h/?'ü", "http://h/?%27%C3%BC"), ("http://a%2eb./", "http://a.b./"), ("http:a", "http://a/"), ("https://h:80/", "https://h:80/"),
        ("http://a\tb/", "http://ab/"), ("http://h/%zz%41", "http://h/%zz%41"),
    ])
    func normalForms(_ text: String, _ expected: String) throws {
        let address = try WebAddress(text)
        #expect(address.text == expected)
        #expect(try WebAddress(expected) == address)
    }

    @Test(arguments: [
        "", " ", "a", "/a", "1http://a", "http://", "http:///", "http://:80", "http://a:65536", "http://a:x", "http://[::1", "http://[::1]x",
        "http://[1.2.3.4]",
        "http://1.2.3.4.5", "http://256.1.1.1", "http://08", "http://a b", "http://ä", "http://a%00b", "http://a%zz", "http://a<b",
    ])
    func faults(_ text: String) {
        let error = #expect(throws: WebAddressError.self) { try WebAddress(text) }
        #expect(error != .scheme)
    }

    @Test func parts() throws {
        let address = try WebAddress("https://me:secret@h.example:8443/a?b=c#d")
        #expect(address.isSecure && address.user == "me:secret" && address.host == .name("h.example") && address.port == 8_443)
        #expect(address.path == "/a" && address.query == "?b=c" && address.fragment == "#d")
        #expect(address.origin == "https://h.example:8443")
        #expect(try WebAddress("http://[::1]:80/").port == nil)
        #expect(throws: WebAddressError.scheme) { try WebAddress("ftp://a/") }
    }
}
