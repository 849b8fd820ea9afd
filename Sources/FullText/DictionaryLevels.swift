// Two dictionaries: a small one that takes what is new, and the large one into which it is emptied step by step (the rolling merge of
// O'Neil, Cheng, Gawlick, O'Neil, "The log-structured merge-tree", Acta Informatica 33, 1996, with two components).
//
// A group of texts has terms all over the alphabet. In one dictionary it touches nearly every record: 600 pages rewritten and
// written to the disk for 256 sentences, whose postings would fill five. So new postings go to the records of `textRecent`, which
// are at most a twelfth of the others. When they are more, the next ones in the order of terms, from where the last step ended, are
// taken out and merged into `textTerms`: as much as came in, so that no write waits for a large merge. A step's terms
// are a stretch of the alphabet with the postings of many groups, and the records of the large dictionary in this stretch are written anew, full.
//
//     recent   a...c | c...f | f...k | k...p | p...z          every group touches these
//                       ^ mergeFrom: the next step takes this one
//     terms    a . . . . c . . . . f . . . . k . . . .        and of these a stretch
//
// Rules:
// * A term's postings in `textRecent` are above all its postings in `textTerms`. So only a posting above every node that was ever merged (`termsLast`) is added
//   there. Any other change of a term (a removal, a lower node) first moves what `textRecent` has of it, then changes `textTerms`.
// * At most 128 postings of a term are recent; with one more, all move.
// * A batch of more than `postingsMax` postings, as in a bulk build, is merged at once, with all that is recent.

struct DictionaryLevels: Equatable {
    /// Payloads of all records of each.
    var termsBytes = 0
    var recentBytes = 0
    /// The highest node that was ever merged.
    var termsLast: UInt32 = 0
    /// The term from which the next step takes.
    var mergeFrom: [UInt8] = []

    static let bytesMax = 1 << 48
    /// Of a batch that goes through `textRecent`: some 3,000 sentences.
    static let postingsMax = 32_768

    /// Bytes that stay in `textRecent` after a change. With R bytes there and T in `textTerms`, a batch of b bytes rewrites R + T b / R: a twelfth is
    /// near the least for groups of some hundred texts. Above a megabyte the first part would be the larger one.
    var recentMax: Int { min(1 << 20, max(1 << 16, termsBytes / 12)) }
}
