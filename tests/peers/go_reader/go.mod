module homeport.test/go_reader

go 1.21
