internal import Base
internal import FullText
internal import KeySpace
internal import LMDB
internal import Needs

/// The terms of texts that have just been written which needs say, and how many texts have each: found out once, when the text index has all of the
/// texts, for the levels of the index of needs as for every text that is held against it.
struct FreshTerms {
    let batch: BatchTerms
    let said: [SaidTerm]
    /// At the same places.
    let documents: [Int]
    /// By rank in the batch the place in `said`; -1 for a term that no need says. Empty when there are no needs.
    private let places: [Int32]

    init(_ batch: BatchTerms, _ scope: TenantScope, in view: borrowing TransactionView) throws {
        self.batch = batch
        guard try NeedStore(scope: scope).needSlots(in: view) > 0 else {
            (said, documents, places) = ([], [], [])
            return
        }
        said = try NeedStore(scope: scope).saidTerms(of: (0..<batch.count).lazy.map(batch.term), in: view)
        let index = TextIndex(scope: scope)
        documents = try index.documentFrequencies(of: batch, said.map(\.place), in: view)
        var places = [Int32](repeating: -1, count: batch.count)
        for (place, said) in said.enumerated() { places[said.place] = Int32(place) }
        self.places = places
        if Invariants.areChecked {
            let terms = said.map { String(decoding: $0.term, as: UTF8.self) }
            let known = try index.documentFrequencies(of: terms, in: view)
            Invariants.hold(known == documents, "the writer says that \(terms) are in \(documents) texts, the index \(known)")
        }
    }

    /// The terms of one of the texts that needs say, each with how many texts have it and how often this one.
    func forEach(of text: AnalyzedText, _ body: (_ term: SaidTerm, _ documents: Int, _ count: Int) -> Void) {
        if places.isEmpty { return }
        batch.forEachTerm(of: text) { rank, count in
            let place = Int(places[rank])
            if place >= 0 { body(said[place], documents[place], count) }
        }
    }

    /// How many texts have a term that one of the texts has and a need says; nil of any other.
    func documents(of term: ArraySlice<UInt8>) -> Int? {
        guard !places.isEmpty, let rank = batch.rank(of: term), places[rank] >= 0 else { return nil }
        return documents[Int(places[rank])]
    }
}
