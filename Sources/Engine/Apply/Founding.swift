internal import KeySpace
internal import LMDB

/// What a store is before its first command: of which format, and by which model.
enum Founding {
    /// Makes an empty store ours, and looks whether one that is not empty can be served.
    /// - Throws: `.damaged` for another format; `.conflict` for another model, or work that is not finished.
    static func found(_ environment: Environment, _ directory: String, _ models: Models, servesUnfinishedImport: Bool) throws {
        var transaction = try environment.beginWrite()
        if try !StoreFormat.verify(transaction.view) {
            try StoreFormat.verifyOrCreate(&transaction)
            try RecordSums.begin(in: &transaction)
        }
        try VectorModel.verifyOrCreate(models.vectorModel, directory: directory, in: &transaction)
        if !servesUnfinishedImport { try ImportMark.refuseUnfinished(in: transaction.view, directory: directory) }
        try transaction.commit()
    }
}
