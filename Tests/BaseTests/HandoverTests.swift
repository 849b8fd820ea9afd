import Base
import Dispatch
import Testing

@Suite struct HandoverTests {
    private struct Failure: Error, Equatable {}

    @Test func whatIsLeftIsTakenBeforeAndAfterTheOtherWaits() async throws {
        for delay in [0, 0, 1, 20] {
            let handover = Handover<Int>()
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(delay)) { handover.leave(.success(7)) }
            let taken = await withCheckedContinuation { waiting in
                DispatchQueue.global().async { waiting.resume(returning: Result { try handover.take() }) }
            }
            #expect(try taken.get() == 7)
        }
    }

    @Test func theFirstResultCounts() throws {
        let handover = Handover<Int>()
        handover.leave(.failure(Failure()))
        handover.leave(.success(1))
        #expect(throws: Failure()) { try handover.take() }
    }

    @Test func whoeverWaitsForATimeGetsNothingAfterIt() throws {
        let handover = Handover<Int>()
        #expect(try handover.take(within: 1_000) == nil)
        handover.leave(.success(3))
        #expect(try handover.take(within: 1_000) == 3)
    }
}
