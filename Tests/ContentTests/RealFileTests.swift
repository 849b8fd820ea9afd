import Base
import Content
import Testing
import TestSupport

// What stands in the files of a Linux machine and was read as something that it is not. All samples are written for this.

private func split(_ text: String, hint: String? = nil, key: String? = nil) throws -> SplitContent {
    try ContentSplitter.split(.string(text), hint: hint, key: key)
}
private func texts(_ content: SplitContent) -> String { content.nodes.map(\.description).joined(separator: "\n") }

@Suite struct RealSettingsTests {
    @Test func blocksInBracesAreNoIni() throws {
        let samples = [
            "[defaults]\n\tsize = 4096\n\n[types]\n\tsmall = {\n\t\tfeatures = has_journal\n\t}\n",
            "[realms]\n EXAMPLE.ORG = {\n  kdc = a.example.org\n  kdc = b.example.org\n }\n",
            "[a]\nb = {\n  c = d\n  }\n", "[a]\nb = c\nd{\n}\n", "[a]\nlist = [\n  x,\n]\n",
        ]
        for text in samples {
            #expect(throws: FormatError.self, "\(text)") { try INIReader.value(text) }
            for key in ["any.conf", "any.cfg", "any"] {
                let content = try split(text, key: key)
                #expect(content.format == .code && content.note?.hasSuffix("It was read as code.") == true, "\(key): \(text): \(content)")
                let words = text.split(whereSeparator: \.isWhitespace)
                #expect(words.allSatisfy { texts(content).contains($0) })
            }
        }
        // What closes in its value is a value.
        #expect(try split("[a]\nb = {\n  \"c\": 1\n  }\nd = {x}\ne = [\n  1\n  ]\n", key: "a.cfg").format == .ini)
        #expect(try split("[*.{js,ts}]\nindent = 2\n", key: ".editorconfig").format == .ini)
    }

    @Test func whatIsCommentedOutIsFound() throws {
        let samples: [(key: String, text: String)] = [
            ("journal.conf", "# This is part of a program.\n#\n# See journal(5).\n\n[Journal]\n#Storage=auto\n#SystemMaxUse=4G\n"),
            ("journal.conf", "[Journal]\n#Storage=auto\n#SystemMaxUse=4G\n"), ("journal", "[Journal]\n#Storage=auto\n#SystemMaxUse=4G\n"),
            ("a.ini", "[Journal]\n;Storage=auto\n[Other]\n;SystemMaxUse=4G\n"), ("a.toml", "# Storage = \"auto\"\n# SystemMaxUse = 4\n"),
            ("a.toml", "[journal]\n# Storage = \"auto\"\n# SystemMaxUse = 4\n"), ("a.yaml", "#Storage: auto\n#SystemMaxUse: 4G\n"),
            ("a.yaml", "journal:\n#  Storage: auto\n#  SystemMaxUse: 4G\n"), ("a.env", "# Storage=auto\n# SystemMaxUse=4G\n"),
        ]
        for (key, text) in samples {
            let content = try split(text, key: key)
            #expect(content.format == .code, "\(key): \(text): \(content.format)")
            #expect(texts(content).contains("Storage") && texts(content).contains("SystemMaxUse"), "\(key): \(text)")
            let note = try #require(content.note)
            #expect(note.contains("Nothing is set") && note.hasSuffix("It was read as code."), "\(key): \(note)")
            #expect(try split(text, hint: content.format.rawValue, key: key).nodes == content.nodes)
        }
        let inComments = (0..<10).map { "# option_\($0) = \($0)\n" }.joined()
        for key in ["a.ini", "a.toml"] {
            let most = try split("[a]\nx = 1\n\(inComments)", key: key)
            #expect(most.format == .code && most.note?.contains("Most of it stands in comments (10 settings, beside 1 that is set)") == true, "\(key)")
        }
    }

    @Test func whatIsSetStaysAStructure() throws {
        let licence = "# Copyright 2026 Somebody\n#\n# Licensed under the Example Licence: you may not use this file\n# except in compliance with it.\n"
            + "# \n# More.\n"
        #expect(try split(licence + "name: a\n", key: "a.yaml").format == .yaml)
        #expect(try split(licence + "name = \"a\"\n", key: "a.toml").format == .toml)
        #expect(try split(licence + "[a]\nb=c\n#d=e\n", key: "a.ini").format == .ini)
        #expect(try split("volumes:\n  # of the database\n  data:\n", key: "compose.yaml").format == .yaml)
        #expect(try split("[a]\n[b]\n", key: "a.ini").format == .ini)
        #expect(try split("[a, b]\n#two\n").format == .yaml)
    }

    @Test func scriptsAndListsAreNoMarkdown() throws {
        let samples: [(key: String?, text: String)] = [
            ("rc-script", "#! /bin/sh\n# Starts it\nset -e\ncase \"$1\" in\nstart) run ;;\nesac\n"), ("a", "#!\t/usr/bin/env perl\nprint 1\n"),
            ("chfn", "#\n# The file for the chfn service\n#\n\n# Root may.\nauth\t\tsufficient\tpam_rootok.so\n\n@include common-auth\n"),
            ("login", "#\n# PAM file\n#\nauth required pam_unix.so\n"),
            ("services", "# Network services, Internet style\n#\n# More would be added on request\n\n"
                + "tcpmux\t\t1/tcp\t\t\t# multiplexer\necho\t\t7/tcp\necho\t\t7/udp\n"),
            ("profile", "# /etc/profile: system-wide profile for the shell\n# and compatible shells.\n\n"
                + "if [ \"$(id -u)\" -eq 0 ]; then\n  P=\"/bin\"\nelse\n  P=\"/x\"\nfi\nexport P\n"),
            ("inputrc", "# keys\n# more of them\n\nset input-meta on\n\"\\e[1~\": beginning-of-line\n"),
            ("mime.types", "# Types of media\n\napplication/example\t\t\tex\ntext/plain\t\t\t\ttxt asc\n"),
            ("mirrors", "Types: deb\n# a mirror\nURIs: http://mirror.example.org/debian\nSuites: stable stable-updates\nComponents: main\n\nTypes: deb\n"
                + "URIs: http://b.example.org/debian\nSuites: stable\n"),
            ("any.postinst", "# made by hand\nset -e\n"), ("any.triggers", "# Triggers\nactivate-noawait ldconfig\n"),
            ("hba.conf.sample", "# Who may\n#\n# host DATABASE USER ADDRESS METHOD\n\n# local connections\nlocal all all trust\n"),
            ("any.conf.dist", "# Who may\n\nlocal all all\n"), ("LOCALE", "#  Locale of an example\n# \n\tcharset\t{\n\t\tname\tISO8859-1:GL\n\t}\n#\nEND\n"),
        ]
        for (key, text) in samples {
            let content = try split(text, key: key)
            #expect(content.format == .code, "\(key ?? ""): \(content.format)")
            #expect(try split(text, hint: "code", key: key).nodes == content.nodes)
        }
        #expect(KeyHint.of("a/b.ini.example") == .format(.ini) && KeyHint.of("hba.conf.sample") == .settings && KeyHint.of("a.yaml.dist") == .format(.yaml))
        #expect(KeyHint.of("words.example") == nil && KeyHint.of("sample") == nil)
    }

    @Test func proseUnderHeadingsStaysMarkdown() throws {
        for text in [
            "# Title\n# And another\n\nThis is how people write a text, with words.\nIt goes on in the next line.\n", "# Title\nText right under it.\n",
            "# A\n# B\n# C\n\n- a list\n- of two\n",
            "# Note\n\nFrom: me\nTo: you\n\nHow are you today?\n",
        ] {
            let content = try split(text)
            #expect(content.format == .markdown, "\(text)")
            #expect(content.nodes.allSatisfy { $0.value.stringValue?.isEmpty == false }, "\(text)")
        }
        #expect(try split("#\n\n## Two\n\n##\n\ntext\n", hint: "markdown").nodes.map(\.path) == ["heading_0", "paragraph_1"])
    }
}

@Suite struct RealTableTests {
    @Test func commentsInFrontOfATableAreNoHeader() throws {
        let zones = "# zones of an example\n#\n# From somebody: made up.\n#\n#code\tplace\tTZ\t\t\tcomments\n"
            + "XA\t+1+2\tA/B\nXB\t+3+4\tA/C\tthe \"north\"\nXC\t+5+6\tA/D\n"
        let read = try split(zones, key: "zone.tab")
        #expect(read.format == .csv)
        #expect(read.nodes.map(\.description) == [
            "row_0 | code: XA | place: +1+2 | TZ: A/B | comments: ", "row_1 | code: XB | place: +3+4 | TZ: A/C | comments: the \"north\"",
            "row_2 | code: XC | place: +5+6 | TZ: A/D | comments: ",
        ])
        let note = try #require(read.note)
        #expect(note.contains("'zones of an example From somebody: made up.'") && note.contains("the first on line 6"), "\(note)")
        let plain = try split("# made by a program\n\na\tb\n1\t2\n3\t4\n", key: "a.tsv")
        #expect(plain.nodes.map(\.description) == ["row_0 | a: 1 | b: 2", "row_1 | a: 3 | b: 4"] && plain.note?.contains("made by a program") == true)
        #expect(try split(zones, hint: "csv").nodes == read.nodes)
        // A header that begins so is the header as it is; what is no table under its comments is none.
        #expect(try split("#chrom\tpos\nx\t1\n", key: "a.tsv").nodes.map(\.description) == ["row_0 | #chrom: x | pos: 1"])
        #expect(try split("# A\n#\n# B\n\nlocal\tall\nhost\tall\n").format == .code)
        #expect(try split("# Title\n\nOne line, with a comma\nAnother line, with one\n").format == .markdown)
    }
}

@Suite struct RealLogTests {
    @Test func namesMayStandBeforeTheTime() throws {
        let lines = (0..<300).map { "update-links 2026-11-29 18:14:\(10 + $0 % 50): link group a\($0) updated to b\n" }.joined()
        for key in ["alternatives.log", nil] {
            let content = try split(lines, key: key)
            #expect(content.format == .text && content.nodes.count == 300)
            #expect(content.nodes[7].value == .string("update-links 2026-11-29 18:14:17: link group a7 updated to b"))
        }
        let two = "my prog [2026-11-29 18:14:10] one\n  more of it\nmy prog [2026-11-29 18:14:11] two\nmy prog [2026-11-29 18:14:12] three\n"
        #expect(try split(two).nodes.map { $0.value.stringValue?.hasSuffix("more of it") } == [true, false, false])
        for text in [
            "We met 2026-11-29 18:14:10 there.\nIt rained.\nWe left 2026-11-29 19:14:10 or so.\nThen we slept.\n",
            "- 2026-11-29 18:14:10 a\n- 2026-11-29 18:14:10 b\n- 2026-11-29 18:14:10 c\n",
            "a; 2026-11-29 18:14:10 ; x\nb; 2026-11-29 18:14:10 ; y\nc; 2026-11-29 18:14:10 ; z\n",
        ] {
            #expect(try split(text).nodes.first?.path != "paragraph_0" || split(text).nodes.count == 1, "\(text)")
        }
    }
}

@Suite struct RealMessageTests {
    @Test func theLimitThatIsSaidIsOurs() throws {
        let deep = (0..<1_100).map { String(repeating: " ", count: $0) + "a:\n" }.joined()
        do throws(ContexError) {
            _ = try ContentSplitter.split(.string(deep), hint: "yaml")
            Issue.record("accepted")
        } catch {
            #expect(error.message.contains("Nested deeper than \(Limits.nestingDepth) levels"), "\(error.message)")
            #expect(!error.message.contains("yaml_set"))
        }
    }

    @Test func theReaderThatGotFurthestSpeaks() throws {
        func note(_ text: String) throws -> String { try #require(try split(text, hint: "json").note) }
        #expect(try note("// settings\n{\n  a: 1,\n  b: ,\n}\n").contains("Expecting value (line 4)"))
        #expect(try note("{\n  // c\n  'a': 'b,\n}\n").contains("Unterminated string (line 3)"))
        #expect(try note("// c\n{\"a\": 1\n\"b\": 2}\n").contains("(line 3)"))
        #expect(try note("// c\n{\"a\": 1,\n\"b\" 2}\n").contains("(line 3)"))
        // JSON itself keeps its words.
        #expect(try note("{\"a\": 1,\n\"b\" 2}\n").contains("Expecting ':' delimiter (byte"))
        #expect(try note("just words").contains("(byte 0)"))
    }
}
