module tenaudit.example/notereader

go 1.22

require (
	github.com/transparency-dev/formats v0.1.1
	golang.org/x/mod v0.43.0
)
