# The whole line in command; the group's network is the host's.
variable "images" {}

job "example" {
  datacenters = ["dc1"]
  type        = "service"

  group "group1" {
    network {
      mode = "host"
      port "http" {}
    }

    task "www1" {
      driver = "pot"

      config {
        image        = var.images
        pot          = "nginx"
        tag          = "1.1"
        command      = "nginx -g 'daemon off;'"
        network_mode = "host"
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
