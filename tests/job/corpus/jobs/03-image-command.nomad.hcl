# Neither command nor arguments: the image's own command runs.
variable "images" {}

job "nginx-minipot" {
  datacenters = ["minipot"]
  type        = "service"

  group "web" {
    network {
      port "http" {}
    }

    task "www1" {
      driver = "pot"

      config {
        image = var.images
        pot   = "own-command"
        tag   = "1.0"
        port_map = {
          http = "80"
        }
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
