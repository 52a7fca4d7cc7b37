job "wrong" {
  group "g" {
    task "t" {
      driver = "pot"
      frobnicate = 1
      config {
        image = var.nothing
      }
      kill_timeout = "soon"
    }
  }
}
