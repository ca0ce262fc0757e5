module static-helper.example/wait-for

go 1.24
