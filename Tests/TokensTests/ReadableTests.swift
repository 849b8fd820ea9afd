import Foundation
import TestSupport
import Testing
import Tokens

/// Which texts a vocabulary has words for.
@Suite(.enabled(if: TestData.hasModel)) struct ReadableTests {
    private static func tokenizer() throws -> WordPieceTokenizer {
        try WordPieceTokenizer(vocabulary: [UInt8](try Data(contentsOf: TestData.model!.appendingPathComponent("vocab.txt"))))
    }

    @Test(arguments: [
        "Which database do we use?", "Größenänderung der Straße", "naïve café", "", "?!", "42", "a.b.c = 3;", "日 (day) is written with one ideograph",
        "order 注文 was shipped from the warehouse", "ﬁle", "ＡＢＣ full width", String(repeating: "word ", count: 1_000) + "โลก",
    ])
    func textsOfLatinLettersAreRead(_ text: String) throws { #expect(try Self.tokenizer().reads(text)) }

    @Test(arguments: [
        "เซิร์ฟเวอร์ฐานข้อมูลล่มเมื่อคืนนี้", "🚀🎉🎉", "ការដឹកជញ្ជូន", "ຖານຂໍ້ມູນ", "መረጃ ቋት", "データベースサーバーが停止した", "数据库服务器昨晚宕机了",
        // Spelled letter by letter.
        "Заказ отгружен со склада в понедельник", "الخادم متوقف منذ الأمس", "सर्वर कल रात से बंद है", "서버가 어젯밤에 죽었습니다", "Ο διακομιστής έπεσε χθες",
        "השרת נפל אתמול בלילה",
        "greeting: สวัสดีชาวโลกทั้งหลาย, ยินดีต้อนรับ!", String(repeating: "x9", count: 60),
    ])
    func textsOfUnknownWordsAreNot(_ text: String) throws { #expect(try !Self.tokenizer().reads(text)) }

    /// What stands behind the end of what the model reads counts for nothing.
    @Test func onlyWhatTheModelReadsCounts() throws {
        let tokenizer = try Self.tokenizer()
        let thai = String(repeating: "ฐานข้อมูล ", count: 400)
        #expect(tokenizer.reads(String(repeating: "word ", count: 300) + thai))
        #expect(!tokenizer.reads(thai + String(repeating: "word ", count: 3_000)))
    }
}
