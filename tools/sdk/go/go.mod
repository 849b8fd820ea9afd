module contex/client

go 1.23
