@main struct Contex { static func main() {} }
