// Listings come in pages. An answer that is not whole says so and gives the cursor that leads to the rest: in its head (`X-Next-Cursor`, and
// `Link` with the whole address), and where the answer is an object in `has_more` and `next_cursor` too. An answer that is whole, to a request
// that names neither `limit` nor `cursor`, is as it was before there were pages; where that is a bare list, who asks for pages gets an object.

internal import Base
internal import Content
internal import Engine

extension Fields {
    static let limit = Field.optionalInteger(
        "limit", min: 1, max: Limits.pageItems,
        "Items at most; as many as \(Limits.answerBytes >> 20) MiB hold when not given. An answer that is not whole gives the cursor to the rest")
    static let cursor = Field.optionalText(
        "cursor", scalarsMax: 1_000, "Goes on where another answer ended: its next_cursor, or X-Next-Cursor, as it is")
    static let paging = [limit.shape, cursor.shape]
}

extension Call {
    var page: PageRequest { PageRequest(limit: query[Fields.limit], cursor: query[Fields.cursor]) }

    /// Whether the client knows of pages: it names a cursor or a limit. (A limit that it does not name has a default in some routes.)
    private var asksForPages: Bool {
        let query = target.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
        return query.split(separator: "&").contains { $0.hasPrefix("cursor=") || $0.hasPrefix("limit=") }
    }

    /// A page that is the whole answer: a list, or for who asks for pages an object that has it.
    func list(_ page: Page<[UInt8]>, named name: String) -> APIAnswer {
        let list = JSONMembers.list(page.items)
        guard asksForPages else { return .bytes(list, contentType: "application/json", headers: headers(next: page.next)) }
        var members = JSONMembers()
        members.add(name, text: list)
        members.add("count", .integer(page.items.count))
        return object(members, next: page.next)
    }

    /// A list of keys or roles, which is there as a whole, in pages.
    func registry(_ registry: PageRequest.Registry, named name: String, _ list: [JSONValue]) throws -> APIAnswer {
        let items = list.map { (id: UInt64($0["key_id"]?.stringValue ?? "", radix: 16) ?? 0, text: JSONPrinter.bytes($0)) }
        do throws(ContexError) {
            let part = try page.page(of: items, registry, id: { $0.id }, bytes: { $0.text.count })
            return self.list(Page(items: part.items.map(\.text), next: part.next), named: name)
        } catch {
            throw error.inQuery
        }
    }

    /// An object that a page is a part of.
    func object(_ members: JSONMembers, next: String?) -> APIAnswer {
        var members = members
        if let next {
            members.add("has_more", .bool(true))
            members.add("next_cursor", .string(next))
        } else if asksForPages {
            members.add("has_more", .bool(false))
        }
        return .bytes(members.text, contentType: "application/json", headers: headers(next: next))
    }

    /// RFC 8288: the same request with another cursor.
    private func headers(next: String?) -> [(name: String, value: String)] {
        guard let next else { return [] }
        let parts = target.split(separator: "?", maxSplits: 1)
        let query = (parts.count > 1 ? parts[1].split(separator: "&") : []).filter { !$0.hasPrefix("cursor=") && $0 != "cursor" }
        let address = PercentEncoding.encode("\(parts.first ?? "/")?\((query + ["cursor=\(next)"]).joined(separator: "&"))") {
            (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "<") && $0 != UInt8(ascii: ">") && $0 != UInt8(ascii: "\"")
        }
        return [("X-Next-Cursor", next), ("Link", "<\(address)>; rel=\"next\"")]
    }
}

/// Runs what takes its fields from the query: a refusal names its place there.
func inQuery<T>(_ body: () async throws -> T) async throws -> T {
    do {
        return try await body()
    } catch let error as ContexError where error.category == .invalid {
        throw error.inQuery
    }
}
