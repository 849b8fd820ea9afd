package import Base
internal import LMDB

extension ContexError {
    /// The catalogue's word for whatever the store or a decoder threw.
    package init(anyError error: any Error) {
        switch error {
        case let error as ContexError: self = error
        case let error as LMDBError where error.isStorageFull:
            self = ContexError(.storageFull, "The store cannot take more data now (\(error)); reads go on")
        case let error as LMDBError where error.code == .panic:
            self = ContexError(.storeReopening, "A write to the disk has failed, and the store is being opened anew; try again")
        case let error as LMDBError where [.readersFull].contains(error.code):
            self = ContexError(.busy, "Too many readers at once; try again in a moment")
        case let error as LMDBError: self = ContexError(.damaged, "\(error)")
        case let error as DamagedPages: self = ContexError(.damaged, "\(error): stop the server and run 'contex check'")
        case let error as ByteError: self = ContexError(.damaged, "a stored record cannot be read: \(error)")
        case is CancellationError: self = ContexError(.cancelled, "The request was cancelled")
        default: self = ContexError(.bug, "\(error)")
        }
    }
}
