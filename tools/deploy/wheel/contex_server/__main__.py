from contex_server import main

main()
