# A port of the group with `to`, beside port_map; an image in the task's directory; a script check.
job "hello" {
  datacenters = ["dc1"]
  type        = "service"

  group "hello" {
    network {
      port "http" {
        to = 20043
      }
    }

    task "hello" {
      driver = "pot"

      service {
        name = "hello"
        port = "http"

        check {
          type     = "script"
          name     = "file"
          command  = "/bin/sh"
          args     = ["-c", "test -f /etc/passwd"]
          interval = "10s"
          timeout  = "2s"
        }
      }

      config {
        image   = "file://./images"
        pot     = "hello"
        tag     = "1.0"
        command = "/usr/local/bin/cook"
        args    = []
        port_map = {
          http = "20043"
        }
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
