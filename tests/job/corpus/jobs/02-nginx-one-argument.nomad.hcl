# One argument that begins with a blank and must be split; a URL with a slash at the end; the old kind of network block.
variable "images" {}

job "nginx-full" {
  datacenters = ["minipot"]
  type        = "service"

  group "web" {
    task "www1" {
      driver = "pot"

      config {
        image   = "${var.images}/"
        pot     = "FBSD121-nginx"
        tag     = "1.0"
        command = "nginx"
        args    = [" -g 'daemon off;'"]
        port_map {
          http = "80"
        }
      }

      resources {
        cpu    = 200
        memory = 64

        network {
          mbits = 10
          port "http" {}
        }
      }
    }
  }
}
